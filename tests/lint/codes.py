#!/usr/bin/env python3
"""What each code of a diagnostic means, and where it is said: a code stands for one mistake, so that people can look it up. Whoever takes
a code for another mistake, or says it from another file, finds it here first; what is new gets the next free number."""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.chdir(ROOT)

CODES = {
    # E0: the text of a file
    "E001": ("Lua cannot read the file", "eval/world"),
    "E002": ("a comma is missing", "eval/places"),
    "E003": ("a brace is missing, or one too many", "eval/places"),
    "E004": ("a key is given twice", "eval/places"),
    "E005": ("a value is nil", "eval/places"),
    "E006": ("an error while the file ran", "eval/world"),
    "E007": ("a value that is no data", "eval/data"),
    "E008": ("an undefined name", "eval/world"),
    "E009": ("a global is set", "eval/world"),
    "E010": ("a file cannot be used", "eval/files"),
    "E011": ("a declaration without a table", "eval/world"),
    "E012": ("a word that this version does not know yet", "eval/world"),
    "E013": ("a file that says something else when it is read again", "eval/world"),
    "E014": ("a provider's file declares something else", "eval/eval"),
    "E015": ("no such time zone", "eval/zones"),
    "E016": ("what is nearly the form of a declaration, a key or a function", "eval/places"),
    # E1: the rules of the language
    "E101": ("an unknown key, field or declaration", "check", "check_when"),
    "E102": ("something that is needed is missing", "check"),
    "E103": ("a value of the wrong kind", "check"),
    "E104": ("a value out of its bounds", "check"),
    "E105": ("no such provider", "check"),
    "E106": ("a list where a table is wanted, or the other way round", "check", "check_when"),
    "E107": ("a value that needs a key", "check", "check_when"),
    "E108": ("`when` asks nothing", "check", "check_when"),
    "E109": ("keys that exclude each other, or of which one is needed", "check"),
    "E110": ("declared twice", "check"),
    "E111": ("a declaration in the wrong place", "check", "eval/eval"),
    "E112": ("no such source", "check_event"),
    "E113": ("no such event", "check_event"),
    "E114": ("an inner event that cannot be heard so", "check_event"),
    "E115": ("a {field} of a template", "check_event", "check_matrix"),
    "E116": ("a test that cannot be asked of this field", "check_when"),
    "E118": ("an unknown operator", "check_when"),
    "E119": ("two forms of a test in one table", "check_when"),
    "E120": ("a matrix", "check_matrix"),
    "E121": ("a path, or the name of a header or of a query", "check_when"),
    "E122": ("a regular expression", "check_when"),
    "E124": ("a network", "check"),
    "E126": ("tests nested too deep", "check_when"),
    "E138": ("no such queue", "check_queue"),
    "E139": ("max_wait without or below its debounce", "check_queue"),
    "E140": ("a secret that cannot be had", "check"),
    "E141": ("a schedule", "check"),
    # E2, E3: what compiling finds
    "E210": ("a test that cannot be compiled", "predicate"),
    "E211": ("a declaration that cannot be compiled", "compile"),
    "E212": ("too much in all", "compile"),
    "E301": ("a provider's descriptor", "provider"),
    "E302": ("an unknown key in a provider's descriptor", "provider"),
    # W1: what is right, and hardly meant
    "W113": ("an event that is not known of its source", "check_event"),
    "W117": ("a long name where the short one is compared", "check_when"),
    "W119": ("a rule that may cause itself", "check_event"),
    "W120": ("a field that no event of `on` has", "check_when", "check_never"),
    "W123": ("a regular expression that takes more than it shows", "check_when"),
    "W125": ("a network with bits behind its prefix", "check"),
    "W127": ("a header that is not kept", "check_when"),
    "W128": ("tests that never hold together", "check_never"),
    "W130": ("a field that a sender fills, in the text of a script", "eval/injection"),
    "W131": ("a pattern in the words of another tool", "check_foreign"),
    "W132": ("a hole that stands for nothing", "check_holes", "eval/injection"),
    "W133": ("no such rule", "check_event"),
    "W134": ("a queue in which one thing's job ends another's", "check_queue"),
    "W135": ("a queue in which one rule's job ends another's", "compile"),
    "W136": ("a queue's policy for events that are things of their own", "check_queue"),
    "W137": ("a source that nothing listens to", "compile"),
    "W139": ("an address without a scheme", "check"),
    "W140": ("pages beyond this machine", "check"),
    "W141": ("two rules of one name", "compile"),
}


def places_of(code):
    return {f"engine/{name}.c" if "/" in name else f"rules/{name}.c" for name in CODES[code][1:]}


def main():
    bad, said = [], {}
    for path in sorted(glob.glob("engine/*/*.c") + glob.glob("rules/*.c")):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for m in re.finditer(r'"([EWN]\d{3})"', text):
            line = text.count("\n", 0, m.start()) + 1
            code = m.group(1)
            said.setdefault(code, set()).add(path)
            if code not in CODES:
                bad.append(f"{path}:{line}: {code} is not in tests/lint/codes.py: say there what it means")
            elif path not in places_of(code):
                bad.append(f"{path}:{line}: {code} means \"{CODES[code][0]}\" and is said in {', '.join(sorted(places_of(code)))}: "
                           "for something else take a new number, for the same add the file to tests/lint/codes.py")
            call = re.search(r"(check_warn|check_say\w*|say_decl|DIAG_ERROR|DIAG_WARNING)\b(?!.*(check_warn|check_say|say_decl|DIAG_))",
                             text[max(0, m.start() - 200):m.start()], re.S)
            if call and (call.group(1) in ("check_warn", "DIAG_WARNING")) != (code[0] == "W"):
                bad.append(f"{path}:{line}: {code} is said by {call.group(1)}: E are errors, W are warnings")
    for code in CODES:
        for path in sorted(places_of(code) - said.get(code, set())):
            bad.append(f"tests/lint/codes.py: {code} is no longer said in {path}")
    meanings = [m[0] for m in CODES.values()]
    bad += [f"tests/lint/codes.py: two codes mean \"{m}\"" for m in sorted({m for m in meanings if meanings.count(m) > 1})]
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

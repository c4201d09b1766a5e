// Why each rule that listens does or does not fire, condition by condition: asked for when somebody wants to know.
import { LitElement, html, type TemplateResult } from "lit";
import { ask, type Condition, type ExplainedRule, type Explanation, type Truth } from "./api.js";

type Which = "now" | "then";

const MARKS: Record<Truth, [string, string]> = { yes: ["✓", "state-succeeded"], no: ["✗", "state-failed"], unknown: ["?", "state-queued"] };
const GROUPS: Record<string, string> = { any: "any of", all: "all of", none: "none of" };
const PLAIN = new Set(["match", "no match"]);     // verdicts that say no more than the mark
const OPEN_MOST = 3, DEEPEST = 5;

const mark = (t: Truth, word: string = t): TemplateResult =>
  html`<span class="badge ${MARKS[t][1]}"><span aria-hidden="true">${MARKS[t][0]}</span> ${word}</span>`;

interface Row { truth: Truth; word?: string; name: string; want?: string; got?: string; place?: string; depth: number }

// The tree of conditions as rows; a group of one is its only member.
function rowsOf(conditions: Condition[], file: string, depth: number): Row[] {
  return conditions.flatMap((c): Row[] => {
    const kids = c.conditions;
    if (kids?.length === 1 && c.name === "all") return rowsOf(kids, file, depth);
    return [{ truth: c.result, name: kids ? GROUPS[c.name] ?? c.name : c.name, want: c.want, got: c.got, place: `${file}:${c.line}:${c.col}`, depth },
      ...(kids ? rowsOf(kids, file, depth + 1) : [])];
  });
}

function allRows(x: Explanation, r: ExplainedRule): Row[] {
  const event = x.action ? `${x.event}.${x.action}` : x.event, got = event ? `${x.source}:${event}` : x.source;
  const always: Row = { truth: "yes", name: "when", want: "always", depth: 0 };
  return [
    { truth: "yes", name: "on", want: r.only ? "meant for this rule: nothing else is asked" : r.on.join(" | "), got, place: `${r.file}:${r.line}`, depth: 0 },
    ...(r.only ? [] : r.conditions.length ? rowsOf(r.conditions, r.file, 0) : [always]),
    ...(r.cells ?? []).flatMap((c): Row[] => [{ truth: c.result, word: c.runs ? "runs" : "does not run", name: `cell ${c.cell}`, depth: 0 },
      ...rowsOf(c.conditions, r.file, 1)]),
    ...(r.filter ? [{ truth: "unknown" as const, name: "filter", got: r.filter.text, place: `${r.file}:${r.filter.line}:${r.filter.col}`, depth: 0 }] : []),
  ];
}

export class Explain extends LitElement {
  static override properties = { delivery: { type: Number } };
  declare delivery: number;
  private which: Which | undefined;
  private answer: Explanation | undefined;
  private trouble = "";
  private asked: AbortController | undefined;

  protected override createRenderRoot(): HTMLElement { return this; }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.asked?.abort();
  }

  private async load(which: Which): Promise<void> {
    this.asked?.abort();
    const asked = this.asked = new AbortController();
    this.which = which;
    this.answer = undefined;
    this.trouble = "";
    this.requestUpdate();
    try {
      this.answer = await ask<Explanation>(`/api/v1/deliveries/${this.delivery}/explain?ruleset=${which}`, asked.signal);
    } catch (e) {
      if (asked.signal.aborted) return;
      this.trouble = e instanceof Error ? e.message : String(e);
    }
    this.requestUpdate();
  }

  private row(r: Row): TemplateResult {
    return html`<tr role="row" class="depth-${Math.min(r.depth, DEEPEST)}">
      <td role="cell">${mark(r.truth, r.word)}</td><th role="rowheader" scope="row">${r.name}</th>
      <td role="cell" data-label="wanted">${r.want ?? ""}</td><td role="cell" data-label="got">${r.got ?? ""}</td>
      <td role="cell">${r.place ? html`<code>${r.place}</code>` : ""}</td></tr>`;
  }

  private rule(x: Explanation, r: ExplainedRule): TemplateResult {
    return html`<details class="rule" ?open=${x.explained.length <= OPEN_MOST}>
      <summary>${mark(r.fires ? "yes" : "no", r.fires ? "fires" : "does not fire")} <strong>${r.rule}</strong>
        ${PLAIN.has(r.verdict) ? "" : html`<span class="verdict">${r.verdict}</span>`}</summary>
      <table role="table" class="conditions" aria-label="Conditions of ${r.rule}">
        <thead role="rowgroup"><tr role="row">${["result", "condition", "wanted", "got", "where"].map((name) =>
          html`<th role="columnheader" scope="col">${name}</th>`)}</tr></thead>
        <tbody role="rowgroup">${allRows(x, r).map((row) => this.row(row))}</tbody></table></details>`;
  }

  private origin(x: Explanation): string {
    if (x.ruleset !== x.then) return "By the rules in force, which have changed since it came";
    return x.in_force ? "By the rules in force, which are those of then" : "By the rules of then, which are no longer in force";
  }

  private told(x: Explanation): TemplateResult {
    const deaf = x.rules - x.listen;
    return html`<p class="job-sub" role="status">${this.origin(x)}: ${x.listen} ${x.listen === 1 ? "rule listens" : "rules listen"}, ${
      x.match} ${x.match === 1 ? "fires" : "fire"}${deaf ? `; ${deaf} ${deaf === 1 ? "does" : "do"} not listen to it` : ""}.</p>
      ${x.explained.map((r) => this.rule(x, r))}
      ${x.more ? html`<p class="empty">${x.more} more listen, too many to be told here: <code>pushrod explain ${this.delivery} --rule NAME</code> tells of one.</p>` : ""}`;
  }

  override render() {
    const button = (which: Which, label: string): TemplateResult => html`<button type="button" class="plain" aria-pressed=${
      this.which === which ? "true" : "false"} @click=${() => void this.load(which)}>${label}</button>`;
    return html`<div class="choices" role="group" aria-label="Explain it by">${button("now", "By the rules in force")}${button("then", "By those of then")}</div>
      ${this.trouble ? html`<p class="problem" role="alert">${this.trouble}</p>` :
        this.answer ? this.told(this.answer) : this.which ? html`<p class="empty" role="status">Loading…</p>` : ""}`;
  }
}
customElements.define("pr-explain", Explain);

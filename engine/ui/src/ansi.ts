// A log line's SGR sequences (ECMA-48) and OSC 8 links as styled runs of text. The server keeps no other escapes. State
// goes on from line to line: pass the end of one as the beginning of the next.

export interface Style {
  fg?: string; bg?: string; bold?: boolean; dim?: boolean; italic?: boolean; underline?: boolean; inverse?: boolean;
  strike?: boolean; href?: string;
}
export interface Run { text: string; style: Style }

const rgb = (r: number, g: number, b: number): string => `rgb(${r},${g},${b})`;

function indexed(n: number): string {
  if (n < 16) return `var(--ansi-${n})`;
  if (n >= 232) {
    const v = 8 + (n - 232) * 10;
    return rgb(v, v, v);
  }
  const level = (k: number): number => (k ? 55 + k * 40 : 0);
  const m = n - 16;
  return rgb(level(Math.floor(m / 36)), level(Math.floor(m / 6) % 6), level(m % 6));
}

// 38;5;N or 38;2;R;G;B behind position i: the colour and how many parameters it took.
function extended(p: number[], i: number): [string | undefined, number] {
  if (p[i + 1] === 5) return [indexed((p[i + 2] ?? 0) & 255), 2];
  if (p[i + 1] === 2) return [rgb((p[i + 2] ?? 0) & 255, (p[i + 3] ?? 0) & 255, (p[i + 4] ?? 0) & 255), 4];
  return [undefined, 0];
}

function apply(style: Style, params: string): Style {
  const p = params === "" ? [0] : params.split(/[;:]/).map((x) => Number(x) || 0);
  let s: Style = { ...style };
  for (let i = 0; i < p.length; i++) {
    const n = p[i]!;
    if (n === 0) s = s.href ? { href: s.href } : {};
    else if (n === 1) s.bold = true;
    else if (n === 2) s.dim = true;
    else if (n === 3) s.italic = true;
    else if (n === 4) s.underline = true;
    else if (n === 7) s.inverse = true;
    else if (n === 9) s.strike = true;
    else if (n === 22) { delete s.bold; delete s.dim; }
    else if (n === 23) delete s.italic;
    else if (n === 24) delete s.underline;
    else if (n === 27) delete s.inverse;
    else if (n === 29) delete s.strike;
    else if (n >= 30 && n <= 37) s.fg = indexed(n - 30);
    else if (n >= 90 && n <= 97) s.fg = indexed(n - 82);
    else if (n >= 40 && n <= 47) s.bg = indexed(n - 40);
    else if (n >= 100 && n <= 107) s.bg = indexed(n - 92);
    else if (n === 39) delete s.fg;
    else if (n === 49) delete s.bg;
    else if (n === 38 || n === 48) {
      const [colour, took] = extended(p, i);
      if (colour) s[n === 38 ? "fg" : "bg"] = colour;
      i += took;
    }
  }
  return s;
}

// eslint-disable-next-line no-control-regex
const SEQUENCE = /\x1b\[([0-9;:]*)m|\x1b\]8;[^;]*;([^\x1b\x07]*)(?:\x1b\\|\x07)/g;
const ADDRESS = /https?:\/\/[^\s<>"'`\x1b]+[^\s<>"'`\x1b.,:;!?)\]}]/g;

// Addresses in plain text become links of their own.
function linked(text: string, style: Style, out: Run[]): void {
  if (style.href) {
    out.push({ text, style });
    return;
  }
  let from = 0;
  for (const m of text.matchAll(ADDRESS)) {
    if (m.index > from) out.push({ text: text.slice(from, m.index), style });
    out.push({ text: m[0], style: { ...style, href: m[0] } });
    from = m.index + m[0].length;
  }
  if (from < text.length) out.push({ text: text.slice(from), style });
}

export function parse(line: string, start: Style): { runs: Run[]; end: Style } {
  const runs: Run[] = [];
  let style = start, from = 0;
  if (!line.includes("\x1b")) {
    linked(line, style, runs);
    return { runs, end: style };
  }
  for (const m of line.matchAll(SEQUENCE)) {
    if (m.index > from) linked(line.slice(from, m.index), style, runs);
    if (m[1] !== undefined) style = apply(style, m[1]);
    else if (m[2]) style = { ...style, href: m[2] };
    else { style = { ...style }; delete style.href; }
    from = m.index + m[0].length;
  }
  if (from < line.length) linked(line.slice(from), style, runs);
  return { runs, end: style };
}

export function plain(line: string): string {
  return line.includes("\x1b") ? line.replace(SEQUENCE, "") : line;
}

export function render(runs: Run[], into: HTMLElement): void {
  for (const { text, style } of runs) {
    const safe = style.href && /^(https?:\/\/|mailto:)/.test(style.href);
    const el = document.createElement(safe ? "a" : "span");
    el.textContent = text;
    if (safe) {
      (el as HTMLAnchorElement).href = style.href!;
      (el as HTMLAnchorElement).rel = "noopener noreferrer";
      (el as HTMLAnchorElement).target = "_blank";
    }
    const fg = style.inverse ? style.bg ?? "var(--log-bg)" : style.fg;
    const bg = style.inverse ? style.fg ?? "var(--log-fg)" : style.bg;
    if (fg) el.style.color = fg;
    if (bg) el.style.backgroundColor = bg;
    if (style.bold) el.style.fontWeight = "bold";
    if (style.dim) el.style.opacity = "0.7";
    if (style.italic) el.style.fontStyle = "italic";
    if (style.underline || style.strike)
      el.style.textDecoration = `${style.underline ? "underline" : ""} ${style.strike ? "line-through" : ""}`;
    into.append(el);
  }
}

// The log of a job: a list of rows of one height, of which only those in sight are in the document. It follows the end
// until the reader scrolls up, and says how many lines have come since.
//
// Browsers bound an element's height (Firefox near 18 million pixels): above MAX_HEIGHT the scroll bar is scaled, and
// wheel and keys move by rows.
import { parse, render, type Style } from "./ansi.js";

export type Row =
  | { kind: "line"; number: number; text: string; err: boolean; start: Style }
  | { kind: "step"; step: number; text: string; state: string; note: string }
  | { kind: "note"; level: string; text: string };

const ROW = 20;                                   // px, as in app.css
const MAX_HEIGHT = 8_000_000;
const OVERSCAN = 12;

export class LogView {
  readonly el = document.createElement("div");
  private readonly scroller = document.createElement("div");
  private readonly spacer = document.createElement("div");
  private readonly window = document.createElement("div");
  private readonly partial = document.createElement("div");
  private readonly more = document.createElement("button");
  private readonly live = document.createElement("div");
  private rows: Row[] = [];
  private end: Style = {};
  private follows = true;
  private unseen = 0;
  private spoken = 0;
  private scheduled = false;
  lines = 0;

  constructor() {
    this.el.className = "log";
    this.scroller.className = "log-scroll";
    this.scroller.tabIndex = 0;
    this.scroller.setAttribute("role", "region");
    this.scroller.setAttribute("aria-label", "Log");
    this.scroller.setAttribute("aria-live", "off");
    this.window.className = "log-window";
    this.partial.className = "log-row log-partial";
    this.partial.hidden = true;
    this.spacer.append(this.window);
    this.scroller.append(this.spacer);
    this.more.className = "log-more";
    this.more.hidden = true;
    this.more.addEventListener("click", () => this.follow());
    this.live.className = "hidden";
    this.live.setAttribute("role", "log");
    this.el.append(this.scroller, this.more, this.live);
    this.scroller.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.scroller.addEventListener("wheel", (e) => { if (e.deltaY < 0) this.unfollow(); }, { passive: true });
    this.scroller.addEventListener("keydown", (e) => this.onKey(e));
    new ResizeObserver(() => this.draw()).observe(this.scroller);
  }

  clear(): void {
    this.rows = [];
    this.end = {};
    this.lines = 0;
    this.schedule();
  }

  line(text: string, err: boolean): void {
    const start = this.end;
    if (text.includes("\x1b")) this.end = parse(text, start).end;
    this.rows.push({ kind: "line", number: ++this.lines, text, err, start });
    this.unseen++;
    this.schedule();
  }

  add(row: Exclude<Row, { kind: "line" }>): void {
    this.end = {};
    this.rows.push(row);
    this.schedule();
  }

  // A step's heading changes when the step ends.
  step(step: number, state: string, note: string): void {
    const row = this.rows.find((r) => r.kind === "step" && r.step === step);
    if (row?.kind === "step") {
      row.state = state;
      row.note = note;
      this.schedule();
    }
  }

  unfinished(text: string): void {
    this.partial.hidden = text === "";
    this.partial.replaceChildren();
    render(parse(text, this.end).runs, this.partial);
    this.schedule();
  }

  follow(): void {
    this.follows = true;
    this.schedule();
  }

  show(step: number): void {
    const at = this.rows.findIndex((r) => r.kind === "step" && r.step === step);
    if (at < 0) return;
    this.unfollow();
    this.scroller.scrollTop = at * ROW * this.scale();
    this.scroller.focus();
  }

  text(): string {
    return this.rows.map((r) => r.text).join("\n");
  }

  private count(): number {
    return this.rows.length + (this.partial.hidden ? 0 : 1);
  }

  private height(): number {
    return Math.min(this.count() * ROW, MAX_HEIGHT);
  }

  // Pixels of scrolling for a pixel of rows: 1 until the bound is met.
  private scale(): number {
    const view = this.scroller.clientHeight, all = this.count() * ROW;
    return all > MAX_HEIGHT ? (MAX_HEIGHT - view) / (all - view) : 1;
  }

  private unfollow(): void {
    this.follows = false;
    this.schedule();
  }

  private onScroll(): void {
    const atEnd = this.scroller.scrollTop + this.scroller.clientHeight >= this.scroller.scrollHeight - ROW;
    if (atEnd) this.follows = true;
    else if (this.follows && !this.scheduled) this.follows = false;
    this.schedule();
  }

  private onKey(e: KeyboardEvent): void {
    if (e.key === "f" || e.key === "G" || e.key === "End") this.follow();
    else if (e.key === "g") { this.unfollow(); this.scroller.scrollTop = 0; }
    else if (e.key === "PageUp" || e.key === "Home" || e.key === "ArrowUp") this.unfollow();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.draw();
      this.scheduled = false;
    });
  }

  private draw(): void {
    const view = this.scroller.clientHeight;
    this.spacer.style.height = `${this.height()}px`;
    if (this.follows) {
      this.scroller.scrollTop = this.scroller.scrollHeight;
      this.unseen = 0;
    }
    const top = this.scroller.scrollTop, first = Math.max(0, Math.floor(top / this.scale() / ROW) - OVERSCAN);
    const last = Math.min(this.rows.length, first + Math.ceil(view / ROW) + 2 * OVERSCAN);
    const drawn: Node[] = [];
    for (let i = first; i < last; i++) drawn.push(this.rowElement(this.rows[i]!));
    if (last === this.rows.length && !this.partial.hidden) drawn.push(this.partial);
    this.window.replaceChildren(...drawn);
    this.window.style.transform = `translateY(${first * ROW - top / this.scale() + top}px)`;
    this.more.hidden = this.follows || this.unseen === 0;
    this.more.textContent = `${this.unseen} new ${this.unseen === 1 ? "line" : "lines"} below`;
    this.speak();
  }

  private rowElement(row: Row): HTMLElement {
    const el = document.createElement("div");
    if (row.kind === "line") {
      el.className = row.err ? "log-row log-err" : "log-row";
      const number = document.createElement("span");
      number.className = "log-number";
      number.textContent = String(row.number);
      const text = document.createElement("span");
      text.className = "log-text";
      render(parse(row.text, row.start).runs, text);
      el.append(number, text);
    } else if (row.kind === "step") {
      el.className = `log-row log-step state-${row.state}`;
      const name = document.createElement("strong");
      name.textContent = row.text;
      el.append(name, ` ${row.state}${row.note ? `, ${row.note}` : ""}`);
    } else {
      el.className = `log-row log-note note-${row.level}`;
      el.textContent = row.text;
    }
    return el;
  }

  // For screen readers: a summary at most every five seconds, never the flood itself.
  private speak(): void {
    if (Date.now() - this.spoken < 5000 || !this.lines) return;
    this.spoken = Date.now();
    this.live.textContent = `${this.lines} lines`;
  }
}

// What the pages share: light-DOM elements, a clock for ages and running durations, links, the state of a job.
import { LitElement, html, type TemplateResult } from "lit";
import type { Job, State } from "./api.js";
import { absolute, ago, duration, mark, words } from "./format.js";

export class Page extends LitElement {
  private clock = 0;
  protected error = "";

  // One style sheet for all: the content security policy allows no inline style.
  protected override createRenderRoot(): HTMLElement { return this; }

  override connectedCallback(): void {
    super.connectedCallback();
    this.clock = window.setInterval(() => this.requestUpdate(), 1000);
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    clearInterval(this.clock);
  }

  protected fail(e: unknown): void {
    if (e instanceof DOMException && e.name === "AbortError") return;
    this.error = e instanceof Error ? e.message : String(e);
    this.requestUpdate();
  }

  protected problem(): TemplateResult | "" {
    return this.error ? html`<p class="problem" role="alert">${this.error}</p>` : "";
  }
}

// Go to another address of the page, as a link does.
export function go(to: string): void {
  history.pushState(null, "", to);
  dispatchEvent(new PopStateEvent("popstate"));
}

export const badge = (state: State | string): TemplateResult =>
  html`<span class="badge state-${state}"><span aria-hidden="true">${mark(state)}</span> ${words(state as State)}</span>`;

export const when = (at: number): TemplateResult =>
  html`<time datetime=${new Date(at).toISOString()} title=${absolute(at)}>${ago(at, Date.now())}</time>`;

export function took(job: { started_ms: number | null; ended_ms: number | null }): string {
  return job.started_ms ? duration((job.ended_ms ?? Date.now()) - job.started_ms) : "";
}

export const named = (o: { event: string; action: string }): string => `${o.event}${o.action ? `.${o.action}` : ""}`;

// The event as rules write it.
export const spoken = (o: { source: string; event: string; action: string }): string =>
  o.source === "rule" ? `rule:${o.action || o.event}` : o.source === "job" || o.source === "local" ? `${o.source}:${o.event}` : named(o);

// What caused it, where no sender did.
export const origin = (o: { planned?: string; caused_by?: { rule: string; job: number } }): string =>
  o.caused_by ? `by ${o.caused_by.rule}, job ${o.caused_by.job}` :
  o.planned ? `cron ${new Date(o.planned).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}` : "";

export const what = (o: { repo?: string; branch?: string; tag?: string; ref?: string; sha?: string }): TemplateResult =>
  html`${o.repo ?? ""}${o.branch ?? o.tag ?? o.ref ? html` <span class="ref">${o.branch ?? o.tag ?? o.ref}</span>` : ""}${
    o.sha ? html` <code>${o.sha.slice(0, 7)}</code>` : ""}`;

// Between two words of a column: a new line, or on a phone a dot.
export const gap = html` <span class="gap" aria-hidden="true">· </span><br>`;

// Why a job is where it is; a debounce ends by the reader's clock.
export const why = (job: Job): string => job.state === "debouncing" && job.until_ms
  ? job.reason.replace(/until .* UTC/, `until ${new Date(job.until_ms).toLocaleTimeString()}`) : job.reason;

// "job 12" in a text leads to it.
export const linked = (text: string): (string | TemplateResult)[] =>
  text.split(/\b(job \d+)\b/).map((part, i) => (i % 2 ? html`<a href="/jobs/${part.slice(4)}">${part}</a>` : part));

const TELLING = new Set<State>(["debouncing", "awaiting_approval", "superseded", "skipped"]);

export const jobLine = (job: Job): TemplateResult => html`
  <li class="item">
    <a class="item-main" href="/jobs/${job.id}">
      ${badge(job.state)}
      <span class="item-title"><strong>${job.rule}</strong>${job.cell ? html` <span class="ref">${job.cell}</span>` : ""} #${job.id}
        ${job.deliveries ? html`<span class="ref">${job.deliveries} deliveries</span>` : ""}
        <span class="item-sub">${TELLING.has(job.state) && job.reason ? why(job) : [job.title, origin(job)].filter(Boolean).join(" · ")}</span></span>
      <span class="item-what">${what(job)}</span>
      <span class="item-when">${took(job) ? html`${took(job)}${gap}` : ""}${when(job.queued_ms)}</span>
    </a>
  </li>`;

// A job: its steps, its state, its log as it grows.
import { html } from "lit";
import { get, isFinal, type Job, type JobDetail } from "./api.js";
import { duration, favicon, mark, words } from "./format.js";
import { LogView } from "./log.js";
import { Page, badge, linked, origin, took, what, when, why } from "./page.js";
import { Stream, type Link } from "./stream.js";

interface Step { number: number; name: string; state: string; ms: number | undefined; began: number }

const LINKS: Record<Link, string> = { connecting: "connecting…", live: "live", reconnecting: "reconnecting…", ended: "complete" };
const KINDS = ["state", "attempt", "step", "log", "note", "artifact", "partial", "progress", "reset", "end"];

export class JobPage extends Page {
  static override properties = { job: { type: Number } };
  declare job: number;
  private detail: JobDetail | undefined;
  private now: Job | undefined;
  private steps: Step[] = [];
  private progress = "";
  private link: Link = "connecting";
  private readonly log = new LogView();
  private stream: Stream | undefined;
  private seen = "";                              // the last id drawn: a repeated burst is dropped by it

  override connectedCallback(): void {
    super.connectedCallback();
    document.addEventListener("keydown", this.onKey);
    this.load();
    this.stream = new Stream({
      url: `/api/v1/jobs/${this.job}/events`, kinds: KINDS,
      onEvent: (kind, data, id) => this.take(kind, data, id),
      onLink: (link) => { this.link = link; this.requestUpdate(); },
    });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    document.removeEventListener("keydown", this.onKey);
    this.stream?.close();
    setIcon(undefined);
  }

  private load(): void {
    get<JobDetail>(`/api/v1/jobs/${this.job}`).then((detail) => {
      this.detail = detail;
      this.setState(detail);
    }).catch((e: unknown) => this.fail(e));
  }

  private take(kind: string, text: string, id: string): void {
    const kept = kind === "log" || kind === "step" || kind === "note" || kind === "attempt";
    if (kept && !this.isNew(id)) return;
    const data = JSON.parse(text) as Record<string, unknown>;
    switch (kind) {
      case "state": this.setState(data as unknown as Job); break;
      case "log": for (const l of data["l"] as string[]) this.log.line(l, data["e"] === 1); break;
      case "step": this.step(data); break;
      case "note": this.log.add({ kind: "note", level: String(data["level"]), text: String(data["text"]) }); break;
      case "attempt": this.attempt(data); break;
      case "partial": this.log.unfinished(String(data["text"])); break;
      case "progress": this.progress = progressText(data); break;
      case "reset":
        this.log.add({ kind: "note", level: "warn", text: "the server's log is shorter than what was shown here: reload to see it" });
        break;
      case "end":
        this.setState(data as unknown as Job);
        this.log.unfinished("");
        this.progress = "";
        this.stream?.finish();
    }
    if (kind === "log") this.log.unfinished("");
    this.requestUpdate();
  }

  // Ids are job.attempt.offset; they only grow.
  private isNew(id: string): boolean {
    const parse = (s: string): number[] => s.split(/[.-]/).map(Number);
    const [a, b] = [parse(this.seen), parse(id)];
    if (this.seen && (b[1]! < a[1]! || (b[1] === a[1] && b[2]! <= a[2]!))) return false;
    this.seen = id;
    return true;
  }

  private setState(job: Job): void {
    if (this.now && this.now.change > job.change) return;
    if (this.detail && (job.deliveries ?? 1) > (this.detail.batch?.length ?? 1)) this.load();         // it took another in
    this.now = { ...this.now, ...job };
    document.title = `${mark(job.state)} ${job.rule} #${job.id} ${words(job.state)} – pushrod`;
    setIcon(job.state);
    this.requestUpdate();
  }

  private step(data: Record<string, unknown>): void {
    const number = Number(data["s"]), state = String(data["state"]);
    const step = this.steps.find((s) => s.number === number);
    if (!step) {
      const name = String(data["name"] ?? number);
      this.steps.push({ number, name, state, ms: state === "running" ? undefined : Number(data["ms"] ?? 0), began: Date.now() });
      this.log.add({ kind: "step", step: number, text: name, state, note: "" });
      return;
    }
    step.state = state;
    step.ms = Number(data["ms"] ?? 0);
    const exit = Number(data["exit"] ?? 0);
    this.log.step(number, state, `${exit ? `exit ${exit}, ` : ""}${duration(step.ms)}`);
    this.progress = "";
  }

  private attempt(data: Record<string, unknown>): void {
    const reason = String(data["reason"] ?? "");
    if (data["ended"]) {
      if (reason) this.log.add({ kind: "note", level: data["ended"] === "succeeded" ? "notice" : "error", text: reason });
    } else if (Number(data["attempt"]) > 1) {
      this.log.add({ kind: "note", level: "notice", text: `attempt ${Number(data["attempt"])}` });
    }
  }

  private onKey = (e: KeyboardEvent): void => {
    if (e.ctrlKey || e.metaKey || e.altKey || (e.target as HTMLElement).closest("input,textarea")) return;
    if (e.key === "f" || e.key === "G") this.log.follow();
    else if (e.key === "e") {
      const bad = this.steps.find((s) => s.state === "failed" || s.state === "timed_out");
      if (bad) this.log.show(bad.number);
    } else if ((e.key === "j" || e.key === "k") && this.steps.length) {
      this.walk = Math.min(this.steps.length - 1, Math.max(0, this.walk + (e.key === "j" ? 1 : -1)));
      this.log.show(this.steps[this.walk]!.number);
    }
  };
  private walk = -1;

  private pending(): string[] {
    const begun = new Set(this.steps.map((s) => s.name));
    return isFinal(this.now?.state ?? "lost") ? [] : (this.detail?.plan?.steps ?? []).filter((name) => !begun.has(name));
  }

  private batch() {
    const batch = this.detail?.batch ?? [];
    return batch.length < 2 ? "" : html`<details class="batch"><summary>Stands for ${batch.length} deliveries, merged into one job</summary><ul>
      ${batch.map((d) => html`<li><a href="/deliveries/${d.delivery}">delivery ${d.delivery}</a> ${what(d)} ${d.title ?? ""} · ${when(d.received_ms)}</li>`)}
      </ul></details>`;
  }

  override render() {
    const job = this.now;
    if (!job) return html`<h1>Job #${this.job}</h1>${this.problem()}`;
    const confinement = this.detail?.attempts?.at(-1)?.confinement;
    return html`
      <header class="job-head">
        <h1>${job.rule}${job.cell ? html` <span class="ref">${job.cell}</span>` : ""} <span class="number">#${job.id}</span></h1>
        <div role="status">${badge(job.state)}</div>
        <span class="job-took">${took(job)}</span>
        <span class="link link-${this.link}" title="the connection to the server">${LINKS[this.link]}</span>
      </header>
      ${this.problem()}
      <p class="job-sub">${job.title ? html`<span>${job.title}</span> · ` : ""}${origin(job) ? html`${linked(origin(job))} · ` : ""}${what(job)}${job.sender ? html` · by ${job.sender}` : ""}
        · ${when(job.queued_ms)} · <a href="/deliveries/${job.delivery}">delivery ${job.delivery}</a>
        · <a href="/api/v1/jobs/${job.id}/log?plain=1" target="_blank">raw log</a>
        ${confinement ? html`· <span title="how its steps are confined">${confinement}</span>` : ""}</p>
      ${job.reason ? html`<p class="reason state-${job.state}">${isFinal(job.state) || job.state === "running" ? "" : html`<strong>${words(job.state)}:</strong> `}${linked(why(job))}</p>` : ""}
      ${this.batch()}
      <div class="job-body">
        <nav class="steps" aria-label="Steps"><ol>
          ${this.steps.map((s) => html`<li><button class="step state-${s.state}" @click=${() => this.log.show(s.number)}>
            <span class="step-mark" aria-hidden="true">${mark(s.state)}</span><span class="step-name">${s.name}</span>
            <span class="step-took"><span class="hidden">${s.state} </span>${s.state === "skipped" ? "" : duration(s.ms ?? Date.now() - s.began)}</span></button></li>`)}
          ${this.pending().map((name) => html`<li><span class="step state-queued"><span class="step-mark" aria-hidden="true">${mark("queued")}</span>
            <span class="step-name">${name}</span></span></li>`)}
        </ol>
        ${this.progress ? html`<p class="progress">${this.progress}</p>` : ""}
        ${isFinal(job.state) ? "" : html`<p class="hint">stop it: <code>pushrod cancel ${job.id}</code></p>`}
        <p class="hint">keys: f follow, g top, j k steps, e error</p></nav>
        ${this.log.el}
      </div>`;
  }
}

function progressText(data: Record<string, unknown>): string {
  const done = Number(data["done"]), total = Number(data["total"]), unit = String(data["unit"] ?? "");
  return total > 0 ? `${done} of ${total} ${unit} (${Math.floor((100 * done) / total)} %)` : `${done} ${unit}`;
}

function setIcon(state: Job["state"] | undefined): void {
  (document.getElementById("favicon") as HTMLLinkElement).href = favicon(state);
}
customElements.define("pr-job", JobPage);

// A delivery: what it caused, why the other rules did not fire, what it was made of, and how to have it again.
import { html, type TemplateResult } from "lit";
import { get, type DeliveryDetail } from "./api.js";
import { curl, pretty } from "./body.js";
import "./copy.js";
import "./explain.js";
import { listen } from "./feed.js";
import { bytes, isInner } from "./format.js";
import { Page, jobLine, spoken, what, when } from "./page.js";

const SHOWN_FIRST = 64 << 10, SHOWN_MOST = 4 << 20;

// The first MOST bytes of what REPLY brings.
async function beginning(reply: Response, most: number): Promise<Uint8Array> {
  const out = new Uint8Array(most), reader = reply.body!.getReader();
  let n = 0;
  while (n < most) {
    const { done, value } = await reader.read();
    if (done) break;
    out.set(value.subarray(0, most - n), n);
    n += Math.min(value.length, most - n);
  }
  void reader.cancel();
  return out.subarray(0, n);
}

const link = (id: number): TemplateResult => html`<a href="/deliveries/${id}">delivery ${id}</a>`;

export class DeliveryPage extends Page {
  static override properties = { delivery: { type: Number } };
  declare delivery: number;
  private detail: DeliveryDetail | undefined;
  private raw: string | undefined;                // the body, where it is text and all of it is here
  private body: string | undefined;               // what can be shown of it; laid out where it is whole
  private trouble = "";                           // why there is none
  private all = false;
  private asked = false;
  private stop = (): void => {};

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `delivery ${this.delivery} – pushrod`;
    this.stop = listen({ job: (job) => { if (this.detail?.job_list?.some((j) => j.id === job.id && j.change < job.change)) this.show(); } });
    this.show();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stop();
  }

  private show(): void {
    get<DeliveryDetail>(`/api/v1/deliveries/${this.delivery}`).then((d) => { this.detail = d; this.requestUpdate(); }).catch((e: unknown) => this.fail(e));
  }

  private async load(): Promise<void> {
    const d = this.detail!;
    if (this.asked) return;
    this.asked = true;
    try {
      const reply = await fetch(`/api/v1/deliveries/${this.delivery}/body`);
      if (!reply.ok) throw new Error(reply.status === 410 ? "it is no longer kept" : `HTTP ${reply.status}`);
      const octets = await beginning(reply, Math.min(d.bytes, SHOWN_MOST)), isPart = octets.length < d.bytes;
      let text: string;
      try {
        text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(octets, { stream: isPart });
      } catch {
        throw new Error("it is not text: download it");
      }
      this.body = isPart ? text : pretty(text);
      if (!isPart) this.raw = text;
    } catch (e) {
      this.trouble = e instanceof Error ? e.message : String(e);
    }
    this.requestUpdate();
  }

  private origin(d: DeliveryDetail): TemplateResult {
    const c = d.cause;
    const one = (id: number): TemplateResult => d.gone?.includes(id) ? html`delivery ${id} (no longer kept)` : link(id);
    return html`${d.replay_of ? html`<p class="reason">A replay of ${one(d.replay_of)}.</p>` : ""}
      ${d.same_as ? html`<p class="reason">The same signed text came before as ${one(d.same_as)}, under another id: someone may have sent again what they saw.</p>` : ""}
      ${d.replays?.length ? html`<p class="reason">Replayed as ${d.replays.map((id, i) => html`${i ? ", " : ""}${link(id)}`)}.</p>` : ""}
      ${c?.job ? html`<p class="reason">Caused by ${c.rule ?? ""}${c.cell ? html` <span class="ref">${c.cell}</span>` : ""}, <a href="/jobs/${c.job}">job ${c.job}</a>${
        c.state ? ` (${c.state.replaceAll("_", " ")})` : ""}${c.delivery ? html`, of ${one(c.delivery)}` : ""}.</p>` : ""}`;
  }

  private facts(d: DeliveryDetail): (TemplateResult | string)[] {
    return [
      d.title ?? "", d.repo || d.ref || d.sha ? what(d) : "", d.sender ? `by ${d.sender}` : "", when(d.received_ms),
      isInner(d.source) ? "from within" : bytes(d.bytes), html`<code>${d.key}</code>`, d.secret ? html`verified by secret <code>${d.secret}</code>` : "",
      d.ruleset ? html`rules <code title=${d.ruleset}>${d.ruleset.slice(0, 12)}</code>` : "",
    ].filter((fact) => fact !== "");
  }

  private verdict(d: DeliveryDetail): TemplateResult {
    const merged = d.job_list?.filter((j) => j.delivery !== d.id) ?? [];
    return html`<h2>Jobs</h2>
      ${merged.length ? html`<p class="reason">Merged with later pushes into ${merged.map((j, i) => html`${i ? ", " : ""}<a href="/jobs/${j.id}">job ${j.id}</a>`)}.</p>` : ""}
      ${d.job_list?.length ? html`<ul class="list">${d.job_list.map(jobLine)}</ul>` : html`<p class="empty">No rule matched.</p>`}
      ${d.notes?.length ? html`<ul>${d.notes.map((n) => html`<li><strong>${n.rule}</strong>: ${n.note}</li>`)}</ul>` : ""}
      <h2>Why the others did not fire</h2>
      ${d.why?.length ? html`<div class="scroll-x" tabindex="0" role="region" aria-label="Rules that did not fire"><table><thead><tr><th>rule</th><th>because</th></tr></thead>
        <tbody>${d.why.map((w) => html`<tr><td><strong>${w.rule}</strong></td><td class="because">${w.because}</td></tr>`)}</tbody></table></div>` :
        html`<p class="empty">${d.job_list?.length ? "Every rule that listens to this event fired." : "None of the rules of then listened to this event."}</p>`}`;
  }

  private payload(d: DeliveryDetail): TemplateResult {
    if (d.body_kept === false) return html`<p class="empty">The body is no longer kept.</p>`;
    const cut = this.body !== undefined && this.body.length > SHOWN_FIRST && !this.all;
    const isPart = this.body !== undefined && this.raw === undefined;
    return html`<details class="payload" @toggle=${() => void this.load()}><summary>Payload, ${bytes(d.bytes)}</summary>
      <p><a href="/api/v1/deliveries/${d.id}/body" download="delivery-${d.id}.bin">download it as received</a></p>
      ${this.trouble ? html`<p class="empty">${this.trouble}</p>` :
        html`<pre tabindex="0">${this.body === undefined ? "Loading…" : cut ? this.body.slice(0, SHOWN_FIRST) : this.body}</pre>`}
      ${isPart ? html`<p class="empty">Only the first ${bytes(SHOWN_MOST)} of ${bytes(d.bytes)} can be shown here: download it for the rest.</p>` : ""}
      ${cut ? html`<p><button type="button" class="plain" @click=${() => { this.all = true; this.requestUpdate(); }}>Show ${isPart ? "the first" : "all"} ${
        bytes(isPart ? SHOWN_MOST : this.body!.length)}</button></p>` : ""}</details>`;
  }

  private again(d: DeliveryDetail): TemplateResult {
    const kept = d.body_kept !== false, ready = this.body !== undefined || this.trouble;
    return html`<h2>Again</h2>
      <pr-copy label="why, by the rules in force" text="pushrod explain ${d.id}"></pr-copy>
      ${kept ? html`<pr-copy label="run it again" text="pushrod replay ${d.id}"></pr-copy>
      <pr-copy label="make a test of it" text="pushrod test --save ${d.id}"></pr-copy>
      <p><a href="/api/v1/deliveries/${d.id}/fixture" download="delivery-${d.id}.json">save it as a fixture</a>, which <code>pushrod test</code> and <code>pushrod explain</code> take</p>
      ${isInner(d.source) ? "" : html`<details class="curl" @toggle=${() => void this.load()}><summary>As a curl command</summary>
        ${ready ? html`<pr-copy label="signatures are not kept: a source with a secret refuses it as it stands" text=${curl(d, location.origin, this.raw)}></pr-copy>` :
          html`<p class="empty">Loading…</p>`}</details>`}` : ""}`;
  }

  override render() {
    const d = this.detail;
    if (!d) return html`<h1>Delivery #${this.delivery}</h1>${this.problem()}`;
    const headers = Object.entries(d.headers ?? {});
    return html`
      <h1>${d.source} ${spoken(d)} <span class="number">#${d.id}</span></h1>${this.problem()}
      <p class="job-sub">${this.facts(d).map((fact, i) => html`${i ? " · " : ""}${fact}`)}</p>
      ${this.origin(d)}${this.verdict(d)}
      ${d.body_kept !== false ? html`<h2>Condition by condition</h2><pr-explain .delivery=${d.id}></pr-explain>` : ""}
      <h2>What came</h2>
      ${this.payload(d)}
      <details><summary>Normalised event</summary><pre tabindex="0">${JSON.stringify(d.normalised, null, 2)}</pre></details>
      ${headers.length ? html`<details><summary>Headers</summary><pre tabindex="0">${headers.map(([k, v]) => `${k}: ${v}\n`)}</pre></details>` : ""}
      ${this.again(d)}`;
  }
}
customElements.define("pr-delivery", DeliveryPage);

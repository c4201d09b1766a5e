// The deliveries: what came in, what it caused, and why the other rules did not fire.
import { html } from "lit";
import { get, type Delivery, type DeliveryDetail } from "./api.js";
import { listen, merge } from "./feed.js";
import { bytes } from "./format.js";
import { Page, jobLine, what, when } from "./page.js";

const MOST = 100;

export class DeliveriesPage extends Page {
  private list: Delivery[] | undefined;
  private stop = (): void => {};

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = "deliveries – pushrod";
    this.stop = listen({ delivery: (d) => { this.list = merge(this.list ?? [], d, MOST); this.requestUpdate(); } });
    get<{ deliveries: Delivery[] }>(`/api/v1/deliveries?limit=${MOST}`).then(({ deliveries }) => {
      this.list = deliveries.reduce((list, d) => merge(list, d, MOST), this.list ?? []);
      this.requestUpdate();
    }).catch((e: unknown) => this.fail(e));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stop();
  }

  override render() {
    return html`<h1>Deliveries</h1>${this.problem()}
      ${this.list?.length ? html`<ul class="list">${this.list.map((d) => html`
        <li class="item"><a class="item-main" href="/deliveries/${d.id}">
          <span class="badge ${d.jobs ? "state-succeeded" : "state-skipped"}">${d.jobs ? `${d.jobs} ${d.jobs === 1 ? "job" : "jobs"}` : "no rule"}</span>
          <span class="item-title"><strong>${d.source}</strong> ${d.event}${d.action ? `.${d.action}` : ""} #${d.id}<span class="item-sub">${d.title ?? ""}</span></span>
          <span class="item-what">${what(d)}</span>
          <span class="item-when">${bytes(d.bytes)}<br>${when(d.received_ms)}</span></a></li>`)}</ul>` :
        html`<p class="empty">${this.list ? "Nothing has been delivered yet." : "Loading…"}</p>`}`;
  }
}
customElements.define("pr-deliveries", DeliveriesPage);

export class DeliveryPage extends Page {
  static override properties = { delivery: { type: Number } };
  declare delivery: number;
  private detail: DeliveryDetail | undefined;
  private body: string | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `delivery ${this.delivery} – pushrod`;
    get<DeliveryDetail>(`/api/v1/deliveries/${this.delivery}`).then((d) => { this.detail = d; this.requestUpdate(); }).catch((e: unknown) => this.fail(e));
  }

  private async load(): Promise<void> {
    if (this.body !== undefined) return;
    const reply = await fetch(`/api/v1/deliveries/${this.delivery}/body`);
    const text = await reply.text();
    try {
      this.body = reply.ok ? JSON.stringify(JSON.parse(text), null, 2) : "the body is no longer kept";
    } catch {
      this.body = text;
    }
    this.requestUpdate();
  }

  override render() {
    const d = this.detail;
    if (!d) return html`<h1>Delivery #${this.delivery}</h1>${this.problem()}`;
    return html`
      <h1>${d.source} ${d.event}${d.action ? `.${d.action}` : ""} <span class="number">#${d.id}</span></h1>
      <p class="job-sub">${d.title ? html`${d.title} · ` : ""}${what(d)}${d.sender ? ` · by ${d.sender}` : ""} · ${when(d.received_ms)} · ${bytes(d.bytes)} · <code>${d.key}</code></p>
      <h2>Jobs</h2>
      ${d.job_list?.length ? html`<ul class="list">${d.job_list.map(jobLine)}</ul>` : html`<p class="empty">No rule matched.</p>`}
      <h2>Why the others did not fire</h2>
      ${d.why?.length ? html`<table><thead><tr><th>rule</th><th>because</th></tr></thead>
        <tbody>${d.why.map((w) => html`<tr><td><strong>${w.rule}</strong></td><td>${w.because}</td></tr>`)}</tbody></table>` :
        html`<p class="empty">Every rule that listens to this event fired${d.job_list?.length ? "" : ", and none listens"}.</p>`}
      <details><summary>Normalised event</summary><pre tabindex="0">${JSON.stringify(d.normalised, null, 2)}</pre></details>
      <details><summary>Headers</summary><pre tabindex="0">${Object.entries(d.headers ?? {}).map(([k, v]) => `${k}: ${v}\n`)}</pre></details>
      <details @toggle=${() => void this.load()}><summary>Payload</summary><pre tabindex="0">${this.body ?? "Loading…"}</pre></details>`;
  }
}
customElements.define("pr-delivery", DeliveryPage);

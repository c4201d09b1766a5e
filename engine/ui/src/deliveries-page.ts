// The deliveries, live: what came in, and what came from within.
import { html, type TemplateResult } from "lit";
import type { Delivery } from "./api.js";
import { bytes, isInner } from "./format.js";
import { LiveList } from "./live-list.js";
import { gap, go, named, origin, spoken, what, when } from "./page.js";

const FIELDS = ["source", "event", "repo", "branch"] as const;

export class DeliveriesPage extends LiveList<Delivery> {
  protected readonly kind = "delivery";
  protected readonly path = "deliveries";
  protected readonly filters = [...FIELDS, "matched"];

  protected fits(d: Delivery, filter: URLSearchParams): boolean {
    return FIELDS.every((name) => !filter.has(name) || filter.get(name) === d[name] || (name === "event" && filter.get(name) === named(d))) &&
      (!filter.has("matched") || filter.get("matched") === (d.jobs ? "yes" : "no"));
  }

  private choose(form: HTMLFormElement): void {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (String(value).trim()) query.set(name, String(value).trim());
    if (`${query}` !== `${this.chosen()}`) go(query.size ? `/deliveries?${query}` : "/deliveries");
  }

  private form(): TemplateResult {
    const chosen = this.chosen(), matched = chosen.get("matched") ?? "";
    return html`<form class="filters" role="search" aria-label="Deliveries"
        @submit=${(e: Event) => { e.preventDefault(); this.choose(e.currentTarget as HTMLFormElement); }}
        @change=${(e: Event) => this.choose(e.currentTarget as HTMLFormElement)}>
      ${FIELDS.map((name) => html`<label>${name} <input name=${name} maxlength="200" autocomplete="off" autocapitalize="off" spellcheck="false"
        .value=${chosen.get(name) ?? ""}></label>`)}
      <label>a rule fired <select name="matched">${[["", "either"], ["yes", "yes"], ["no", "no"]].map(([value, word]) =>
        html`<option value=${value} .selected=${matched === value}>${word}</option>`)}</select></label>
      <button type="submit">Find</button>
      ${chosen.size ? html`<a href="/deliveries">clear</a>` : ""}</form>`;
  }

  override render() {
    return html`<h1>Deliveries</h1>${this.form()}${this.problem()}
      ${this.list?.length ? html`<ul class="list">${this.list.map((d) => html`
        <li class="item"><a class="item-main" href="/deliveries/${d.id}">
          <span class="badge ${d.jobs ? "state-succeeded" : "state-skipped"}">${d.jobs ? `${d.jobs} ${d.jobs === 1 ? "job" : "jobs"}` : "no rule"}</span>
          <span class="item-title"><strong>${d.source}</strong> ${spoken(d)} #${d.id}${
            d.replay_of ? html` <span class="ref">replay of ${d.replay_of}</span>` : ""}${
            d.same_as ? html` <span class="ref">same as ${d.same_as}</span>` : ""}
            <span class="item-sub">${[d.title, origin(d)].filter(Boolean).join(" · ") || (isInner(d.source) ? d.key : "")}</span></span>
          <span class="item-what">${what(d)}</span>
          <span class="item-when">${isInner(d.source) ? "from within" : bytes(d.bytes)}${gap}${when(d.received_ms)}</span></a></li>`)}</ul>` :
        html`<p class="empty">${!this.list ? (this.error ? "" : "Loading…") : this.chosen().size ? "No such delivery here." : "Nothing has been delivered yet."}</p>`}${this.pages()}`;
  }
}
customElements.define("pr-deliveries", DeliveriesPage);

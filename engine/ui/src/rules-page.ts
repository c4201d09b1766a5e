// What is in force: rules and sources.
import { html } from "lit";
import { get, type Rules } from "./api.js";
import { listen } from "./feed.js";
import { Page, when } from "./page.js";

export class RulesPage extends Page {
  private rules: Rules | undefined;
  private stop = (): void => {};

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = "rules – pushrod";
    this.stop = listen({ ruleset: () => this.load() });
    this.load();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stop();
  }

  private load(): void {
    get<Rules>("/api/v1/rules").then((rules) => { this.rules = rules; this.requestUpdate(); }).catch((e: unknown) => this.fail(e));
  }

  override render() {
    const r = this.rules;
    if (!r) return html`<h1>Rules</h1>${this.problem()}`;
    return html`<h1>Rules</h1>
      <p class="job-sub">in force since ${when(r.loaded_ms)} · <code>${r.ruleset.slice(0, 12)}</code></p>
      ${r.error ? html`<div class="problem" role="alert"><p>The files on disk are newer and have mistakes; the rules below stay in force.</p><pre tabindex="0">${r.error}</pre></div>` : ""}
      <div class="scroll-x" tabindex="0" role="region" aria-label="Rules"><table><thead><tr><th>rule</th><th>on</th><th>steps</th><th>where</th></tr></thead><tbody>
        ${r.rules.map((x) => html`<tr><td><strong>${x.name}</strong></td><td>${[...x.on, ...(x.cron ?? []).map((c) => `cron ${c}`)].join(", ")}</td><td>${x.steps?.join(", ")}</td><td><code>${x.file}:${x.line}</code></td></tr>`)}
      </tbody></table></div>
      <h2>Sources</h2>
      <div class="scroll-x" tabindex="0" role="region" aria-label="Sources"><table><thead><tr><th>source</th><th>provider</th><th>address</th></tr></thead><tbody>
        ${r.sources.map((s) => html`<tr><td><strong>${s.name}</strong></td><td>${s.provider}</td><td><code>${location.origin}${s.path}</code>${
          s.heard ? "" : html`<p class="reason">No rule listens to it.</p>`}${s.error ? html`<p class="reason">Its deliveries get 503: ${s.error}.</p>` : ""}${
          s.refused ? html`<p class="reason">${s.refused.count} refused since the start, the last ${when(s.refused.last_ms)}: ${s.refused.reason} (answered ${s.refused.status}).</p>` : ""}</td></tr>`)}
      </tbody></table></div>`;
  }
}
customElements.define("pr-rules", RulesPage);

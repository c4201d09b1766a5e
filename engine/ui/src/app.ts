// The page: where one is, and the frame around it. Links within the page change the address without loading it anew.
import { LitElement, html, type TemplateResult } from "lit";
import { keyed } from "lit/directives/keyed.js";
import "./deliveries-page.js";
import "./delivery-page.js";
import "./job-page.js";
import "./jobs-page.js";
import "./rules-page.js";

const NAV: [string, string][] = [["/", "Jobs"], ["/deliveries", "Deliveries"], ["/rules", "Rules"]];

class App extends LitElement {
  protected override createRenderRoot(): HTMLElement { return this; }

  override connectedCallback(): void {
    super.connectedCallback();
    addEventListener("popstate", () => this.requestUpdate());
    this.addEventListener("click", (e) => this.onClick(e));
  }

  private onClick(e: MouseEvent): void {
    const a = (e.target as HTMLElement).closest("a");
    if (!a || a.target || a.origin !== location.origin || a.pathname.startsWith("/api/") || e.button || e.ctrlKey || e.metaKey || e.shiftKey) return;
    e.preventDefault();
    history.pushState(null, "", a.href);
    scrollTo(0, 0);
    this.requestUpdate();
    this.updateComplete.then(() => this.querySelector<HTMLElement>("main")?.focus()).catch(() => {});
  }

  private page(path: string): TemplateResult {
    const [, kind, id] = path.split("/");
    const number = Number(id);
    if (path === "/" || path === "/jobs") return html`<pr-jobs .query=${location.search}></pr-jobs>`;
    if (kind === "jobs" && number > 0) return html`${keyed(number, html`<pr-job .job=${number}></pr-job>`)}`;
    if (path === "/deliveries") return html`<pr-deliveries .query=${location.search}></pr-deliveries>`;
    if (kind === "deliveries" && number > 0) return html`${keyed(number, html`<pr-delivery .delivery=${number}></pr-delivery>`)}`;
    if (path === "/rules") return html`<pr-rules></pr-rules>`;
    return html`<h1>Nothing here</h1><p><code>${path}</code> is no page of this server.</p>`;
  }

  override render() {
    const path = location.pathname;
    return html`
      <a class="skip" href="#main">Skip to the content</a>
      <header class="top"><a class="brand" href="/">pushrod</a>
        <nav aria-label="Pages">${NAV.map(([to, name]) => html`<a href=${to} aria-current=${path === to ? "page" : "false"}>${name}</a>`)}</nav></header>
      <main id="main" tabindex="-1">${this.page(path)}</main>`;
  }
}
customElements.define("pr-app", App);

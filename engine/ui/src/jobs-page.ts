// The list of jobs, live.
import { html } from "lit";
import type { Job } from "./api.js";
import { LiveList } from "./live-list.js";
import { jobLine } from "./page.js";

export class JobsPage extends LiveList<Job> {
  protected readonly kind = "job";
  protected readonly path = "jobs";
  protected readonly filters = ["state", "rule"];

  protected fits(job: Job, filter: URLSearchParams): boolean {
    return this.filters.every((name) => !filter.has(name) || filter.get(name) === job[name as "state" | "rule"]);
  }

  override render() {
    return html`<h1>Jobs</h1>${this.problem()}
      ${this.list?.length ? html`<ul class="list" aria-live="off">${this.list.map(jobLine)}</ul>` :
        !this.list ? html`<p class="empty">${this.error ? "" : "Loading…"}</p>` :
        this.chosen().size ? html`<p class="empty">No such job here.</p>` :
        html`<p class="empty">No job has run yet. Point a webhook at <code>${location.origin}/hooks/…</code> (see <a href="/rules">rules</a>
          for the sources), or send a sample with <code>pushrod simulate</code>.</p>`}${this.pages()}`;
  }
}
customElements.define("pr-jobs", JobsPage);

// The list of jobs, live.
import { html } from "lit";
import { get, type Job } from "./api.js";
import { listen, merge } from "./feed.js";
import { Page, jobLine } from "./page.js";

const MOST = 100;

export class JobsPage extends Page {
  private jobs: Job[] | undefined;
  private stop = (): void => {};

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = "jobs – pushrod";
    // The stream first, then the list: what changes between the two is not missed.
    this.stop = listen({ job: (job) => { this.jobs = merge(this.jobs ?? [], job, MOST); this.requestUpdate(); } });
    get<{ jobs: Job[] }>(`/api/v1/jobs?limit=${MOST}`).then(({ jobs }) => {
      this.jobs = jobs.reduce((list, job) => merge(list, job, MOST), this.jobs ?? []);
      this.requestUpdate();
    }).catch((e: unknown) => this.fail(e));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stop();
  }

  override render() {
    return html`<h1>Jobs</h1>${this.problem()}
      ${this.jobs?.length ? html`<ul class="list" aria-live="off">${this.jobs.map(jobLine)}</ul>` :
        this.jobs ? html`<p class="empty">No job has run yet. Point a webhook at <code>${location.origin}/hooks/…</code> (see <a href="/rules">rules</a>
          for the sources), or send a sample with <code>pushrod simulate</code>.</p>` : html`<p class="empty">Loading…</p>`}`;
  }
}
customElements.define("pr-jobs", JobsPage);

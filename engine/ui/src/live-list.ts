// A list, newest first, that follows the stream. Which part of it is shown stands in the address (filters, `before`), so a link to it can be shared.
import { html, type TemplateResult } from "lit";
import { get } from "./api.js";
import { listen, merge } from "./feed.js";
import { Page } from "./page.js";

interface Item { id: number; change: number }

export const MOST = 100;

export abstract class LiveList<T extends Item> extends Page {
  static override properties = { query: { type: String } };
  declare query: string;
  protected list: T[] | undefined;
  private next: string | null = null;
  private dropped = false;                        // what came live pushed others off the end
  private stop = (): void => {};
  private asked: AbortController | undefined;

  protected abstract readonly kind: "job" | "delivery";
  protected abstract readonly path: string;       // of the page, and behind /api/v1 of the list; the answer's member bears its name
  protected abstract readonly filters: readonly string[];
  protected abstract fits(item: T, filter: URLSearchParams): boolean;

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${this.path} – pushrod`;
    // The stream first, then the list: what changes between the two is not missed.
    const take = (item: unknown): void => this.take([item as T], true);
    this.stop = listen(this.kind === "job" ? { job: take } : { delivery: take });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.stop();
    this.asked?.abort();
  }

  protected override willUpdate(changed: Map<PropertyKey, unknown>): void {
    if (changed.has("query")) this.load();
  }

  protected chosen(): URLSearchParams {
    const given = new URLSearchParams(this.query), chosen = new URLSearchParams();
    for (const name of [...this.filters, "before"]) if (given.get(name)) chosen.set(name, given.get(name)!);
    return chosen;
  }

  private load(): void {
    this.asked?.abort();
    const asked = this.asked = new AbortController();
    const query = this.chosen();
    query.set("limit", String(MOST));
    this.list = undefined;
    this.next = null;
    this.dropped = false;
    this.error = "";
    get<Record<string, unknown>>(`/api/v1/${this.path}?${query}`, asked.signal).then((answer) => {
      this.next = answer["next"] as string | null;
      this.list ??= [];
      this.take(answer[this.path] as T[], false);
    }).catch((e: unknown) => this.fail(e));
  }

  // What changed is put in its place, or taken out where it no longer fits; what is new comes on top of the newest page alone.
  private take(items: T[], live: boolean): void {
    const chosen = this.chosen(), before = chosen.has("before");
    for (const item of items) {
      const had = this.list?.some((x) => x.id === item.id);
      if (live && !this.fits(item, chosen)) this.list = this.list?.filter((x) => x.id !== item.id);
      else if (!live || had || !before) {
        this.dropped ||= !had && (this.list?.length ?? 0) >= MOST;
        this.list = merge(this.list ?? [], item, MOST);
      }
    }
    this.requestUpdate();
  }

  private here(change: (query: URLSearchParams) => void): string {
    const query = this.chosen();
    change(query);
    return query.size ? `${location.pathname}?${query}` : location.pathname;
  }

  protected pages(): TemplateResult | "" {
    const before = this.dropped ? String(this.list!.at(-1)!.id) : this.next ? new URL(this.next, location.origin).searchParams.get("before") : null;
    const newest = this.chosen().has("before");
    return before || newest ? html`<nav class="pages" aria-label="Parts of the list">
      ${newest ? html`<a href=${this.here((q) => q.delete("before"))}>newest</a>` : ""}
      ${before ? html`<a rel="next" href=${this.here((q) => q.set("before", before))}>older</a>` : ""}</nav>` : "";
  }
}

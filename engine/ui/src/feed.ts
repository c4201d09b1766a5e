// The one stream of changes that all lists share.
import type { Delivery, Job } from "./api.js";
import { Stream, type Link } from "./stream.js";

type Listener = { job?(job: Job): void; delivery?(d: Delivery): void; ruleset?(): void; link?(link: Link): void };

const listeners = new Set<Listener>();
let stream: Stream | undefined;
let last: Link = "connecting";

export function listen(l: Listener): () => void {
  listeners.add(l);
  stream ??= new Stream({
    url: "/api/v1/events",
    kinds: ["job", "delivery", "ruleset"],
    onEvent(kind, data) {
      for (const x of listeners) {
        if (kind === "job") x.job?.(JSON.parse(data) as Job);
        else if (kind === "delivery") x.delivery?.(JSON.parse(data) as Delivery);
        else x.ruleset?.();
      }
    },
    onLink(link) {
      last = link;
      for (const x of listeners) x.link?.(link);
    },
  });
  l.link?.(last);
  return () => {
    listeners.delete(l);
    if (!listeners.size) {
      stream?.close();
      stream = undefined;
    }
  };
}

// Put OBJECT into a list that is newest first, in place of its older form.
export function merge<T extends { id: number; change: number }>(list: T[], object: T, most: number): T[] {
  const at = list.findIndex((x) => x.id === object.id);
  if (at >= 0) return list[at]!.change > object.change ? list : list.map((x) => (x.id === object.id ? object : x));
  return [object, ...list].sort((a, b) => b.id - a.id).slice(0, most);
}

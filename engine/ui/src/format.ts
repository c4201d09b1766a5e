// Words and numbers for people.
import { isFinal, type State } from "./api.js";

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const s = ms / 1000;
  if (s < 60) return `${s.toFixed(1)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

export function ago(at: number, now: number): string {
  const s = Math.max(0, (now - at) / 1000);
  if (s < 5) return "just now";
  if (s < 60) return `${Math.floor(s)} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

export const absolute = (at: number): string => new Date(at).toLocaleString();
export const bytes = (n: number): string => (n < 1024 ? `${n} B` : n < 1 << 20 ? `${(n / 1024).toFixed(1)} KiB` : `${(n / (1 << 20)).toFixed(1)} MiB`);
export const words = (s: State): string => s.replace("_", " ");

// Sources of what no sender brings; the rule language keeps their names for itself.
const INNER = new Set(["cron", "job", "rule", "local"]);
export const isInner = (source: string): boolean => INNER.has(source);

// Shape as well as colour says the state.
const MARKS: Record<string, string> = {
  queued: "○", debouncing: "○", awaiting_approval: "?", running: "●", succeeded: "✓", skipped: "–", superseded: "–",
  cancelled: "■", timed_out: "⏱", failed: "✗", errored: "!", refused: "!", lost: "!", allowed: "✓",
};
export const mark = (s: string): string => MARKS[s] ?? "·";

export function favicon(state: State | undefined): string {
  const colour = !state ? "#777" : !isFinal(state) ? "#1a73c7" : state === "succeeded" ? "#1a7f37" : state === "skipped" || state === "superseded" ? "#777" : "#c62828";
  const shape = !state || !isFinal(state) ? '<circle cx="8" cy="8" r="6"/>' :
    state === "succeeded" ? '<path d="M2 8l4 5 8-10" fill="none" stroke-width="3"/>' : '<path d="M3 3l10 10M13 3L3 13" stroke-width="3"/>';
  return `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="${colour}" stroke="${colour}">${shape}</svg>`)}`;
}

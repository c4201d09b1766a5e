// The HTTP API (docs/api.md): its types, and one way to ask it.

export type State =
  | "debouncing" | "queued" | "awaiting_approval" | "running"
  | "succeeded" | "failed" | "errored" | "timed_out" | "cancelled" | "skipped" | "superseded" | "refused" | "lost";

export interface EventFields {
  repo?: string; ref?: string; branch?: string; tag?: string; sha?: string; title?: string; sender?: string; url?: string;
  planned?: string; caused_by?: { rule: string; job: number };
}

export interface Job extends EventFields {
  id: number; delivery: number; rule: string; file: string; cell: string; state: State; attempt: number;
  source: string; event: string; queued_ms: number; started_ms: number | null; ended_ms: number | null;
  exit_code: number | null; reason: string; log_bytes: number | null; change: number;
  until_ms?: number; heir?: number; deliveries?: number;
}

export interface Attempt {
  attempt: number; started_ms: number; ended_ms: number | null; state: State; exit_code: number | null; reason: string;
  confinement?: string;
}

export interface Batched extends EventFields { delivery: number; received_ms: number }

export interface JobDetail extends Job { attempts: Attempt[]; plan?: { steps?: string[] }; batch?: Batched[] }

export interface Delivery extends EventFields {
  id: number; source: string; provider: string; key: string; event: string; action: string; received_ms: number;
  bytes: number; jobs: number; change: number; replay_of?: number; same_as?: number;
}

export interface Cause { rule?: string; cell?: string; job?: number; delivery?: number; state?: State; reason?: string }

export interface DeliveryDetail extends Delivery {
  headers: Record<string, string>; normalised: Record<string, unknown>; why: { rule: string; because: string }[];
  notes?: { rule: string; note: string }[]; job_list: Job[]; ruleset: string; query?: string; secret?: string | null;
  body_kept?: boolean; replays?: number[]; gone?: number[]; cause?: Cause | null;
}

export interface Rules {
  ruleset: string; loaded_ms: number; error: string | null;
  rules: { name: string; file: string; line: number; on: string[]; cron?: string[]; steps: string[] }[];
  sources: { name: string; provider: string; path: string; secrets: string[]; heard: boolean; error: string | null;
    refused: { count: number; last_ms: number; status: number; reason: string } | null }[];
}

export type Truth = "yes" | "no" | "unknown";

export interface Condition {
  name: string; result: Truth; line: number; col: number; want?: string; got?: string; conditions?: Condition[];
}

export interface ExplainedRule {
  rule: string; file: string; line: number; on: string[]; result: Truth; fires: boolean; verdict: string; only?: boolean;
  conditions: Condition[]; cells?: { cell: string; result: Truth; runs: boolean; conditions: Condition[] }[];
  filter?: { line: number; col: number; text: string };
}

export interface Explanation {
  ruleset: string; then: string; in_force: boolean; source: string; event: string; action: string;
  rules: number; listen: number; match: number; explained: ExplainedRule[]; more?: number;
}

const FINAL = new Set<State>(["succeeded", "failed", "errored", "timed_out", "cancelled", "skipped", "superseded", "refused", "lost"]);
export const isFinal = (s: State): boolean => FINAL.has(s);
export const isGood = (s: State): boolean => s === "succeeded" || s === "skipped";

export class ApiError extends Error {
  constructor(readonly status: number, detail: string) { super(detail); }
}

async function talk<T>(method: string, path: string, signal?: AbortSignal): Promise<T> {
  const reply = await fetch(path, { method, signal: signal ?? null, headers: { Accept: "application/json" } });
  if (!reply.ok) {
    const problem = await reply.json().catch(() => ({})) as { detail?: string; title?: string };
    throw new ApiError(reply.status, problem.detail ?? problem.title ?? `HTTP ${reply.status}`);
  }
  return await reply.json() as T;
}

export const get = <T>(path: string, signal?: AbortSignal): Promise<T> => talk("GET", path, signal);
// A POST that changes nothing.
export const ask = <T>(path: string, signal?: AbortSignal): Promise<T> => talk("POST", path, signal);

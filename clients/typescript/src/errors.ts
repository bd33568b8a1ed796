import type { Finding } from "./types.js";

/** Whose fault something is. */
export type Fault = "caller" | "host" | "belljar";

interface Details {
  readonly fault?: string | undefined;
  readonly mayRetry?: boolean | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly hint?: string | undefined;
  readonly status?: number | undefined;
  readonly findings?: readonly Finding[] | undefined;
  readonly raw?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
}

/** Nothing was run, or belljar failed. */
export class BelljarError extends Error {
  override readonly name: string = "BelljarError";
  /** The stable word for machines; `unreachable` and `timeout` are of this side. */
  readonly code: string;
  readonly fault: string;
  readonly mayRetry: boolean;
  readonly retryAfterMs: number | undefined;
  readonly hint: string | undefined;
  /** Of HTTP, if that far. */
  readonly status: number | undefined;
  /** Of `policy_refused`: where the code breaks the rules of its language. */
  readonly findings: readonly Finding[];
  readonly raw: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, details: Details = {}) {
    super(`${code}: ${message}${details.hint ? ` (${details.hint})` : ""}`, { cause: details.cause });
    this.code = code;
    this.fault = details.fault ?? "host";
    this.mayRetry = details.mayRetry ?? false;
    this.retryAfterMs = details.retryAfterMs;
    this.hint = details.hint;
    this.status = details.status;
    this.findings = details.findings ?? [];
    this.raw = details.raw ?? {};
  }
}

/** Too much at one time. Later it may go: see `retries` of a sandbox. */
export class Overloaded extends BelljarError {
  override readonly name = "Overloaded";
}

/** Nobody listens, or whoever does went away before the answer was there. */
export class Unreachable extends BelljarError {
  override readonly name = "Unreachable";
}

/** `timeoutMs` passed. A run that was waited for ends with it. */
export class BelljarTimeout extends BelljarError {
  override readonly name = "BelljarTimeout";
}

export function strange(why: string, cause?: unknown): BelljarError {
  return new BelljarError("internal", `this is no service of belljar: ${why}`, { cause });
}

export function gone(why: string, cause?: unknown): Unreachable {
  return new Unreachable("unreachable", `the service went away: ${why}`, { mayRetry: true, cause });
}

/** What the service says went wrong. */
export function problem(row: Readonly<Record<string, unknown>>, status?: number): BelljarError {
  const text = (value: unknown) => (typeof value === "string" ? value : undefined);
  const code = text(row["code"]) ?? "internal";
  const Kind = code === "overloaded" ? Overloaded : BelljarError;
  const after = row["retry_after_ms"];
  return new Kind(code, text(row["message"]) ?? text(row["detail"]) ?? code, {
    fault: text(row["fault"]) ?? "belljar",
    mayRetry: row["may_retry"] === true,
    retryAfterMs: typeof after === "number" ? after : undefined,
    hint: text(row["hint"]),
    status,
    findings: Array.isArray(row["findings"]) ? (row["findings"] as Finding[]) : [],
    raw: row,
  });
}

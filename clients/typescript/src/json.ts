import { problem, strange } from "./errors.js";
import type {
  Artifact, Call, Connection, Data, Denial, Event, Network, Outcome, Raised, Receipt, Result,
} from "./types.js";

export type Row = Readonly<Record<string, unknown>>;

/** Names of the caller's own, which stay as they are. */
const FOREIGN = new Set(["env", "labels", "secretHosts"]);

/** Options as the service has them. */
export function request(options: object): Row {
  const { signal: _, timeoutMs: __, idempotencyKey: ___, ...rest } = options as Record<string, unknown>;
  const row: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(rest)) {
    if (value === undefined) continue;
    const isGroup = typeof value === "object" && value !== null && !FOREIGN.has(name);
    if (name === "stdin") row[name] = encode(value as Data);
    else if (name === "secrets") row[name] = each(value as Record<string, Data>, encode);
    else if (name === "files") row[name] = files(value as Record<string, Data>);
    else row[snake(name)] = isGroup && !Array.isArray(value) ? renamed(value as Row, snake) : value;
  }
  return row;
}

export function object(text: string): Row {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw strange("its answer is no JSON", error);
  }
  return row(value);
}

export function name(value: Row): string {
  return text(value["id"]);
}

export function outcome(value: Row): Outcome {
  const receipt = row(value["receipt"] ?? {});
  return {
    ...ended(value),
    id: name(value),
    exitCode: (value["exit_code"] ?? null) as number | null,
    signal: (value["signal"] ?? null) as number | null,
    timingsMs: row(value["timings_ms"] ?? {}),
    denials: rows(value["denials"]).map(denial),
    network: network(value["network"] ?? null),
    mode: String(value["mode"] ?? "full"),
    limits: renamed(row(value["limits"] ?? {}), camel),
    labels: row(value["labels"] ?? {}),
    receipt: {
      ...receipt,
      layers: rows(receipt["layers"]).map((layer) => renamed(layer, camel)),
      limits: rows(receipt["limits"]),
      notes: list(receipt["notes"]),
    } as unknown as Receipt,
  } as unknown as Outcome;
}

export function call(value: Row): Call {
  const why = value["outcome"];
  const last = why === undefined || why === null ? undefined : outcome(row(why));
  return { ...ended(value), outcome: last } as unknown as Call;
}

/** Nothing for what only newer clients know; throws what the service says went wrong. */
export function event<Last>(line: string, last: (value: Row) => Last): Event<Last> | undefined {
  const value = object(line);
  const seq = typeof value["seq"] === "number" ? value["seq"] : 0;
  switch (value["event"]) {
    case "queued":
    case "started":
      return { event: value["event"], seq, id: name(value) };
    case "stdout":
    case "stderr": {
      const data = decode(value["content"], value["encoding"]);
      return { event: value["event"], seq, data, text: data.toString() };
    }
    case "denial":
      return { event: "denial", seq, denial: denial(value) };
    case "outcome":
      return { event: "outcome", seq, outcome: last(row(value["outcome"])) };
    case "problem":
      throw problem(row(value["problem"]));
    default:
      return undefined;
  }
}

/** What outcomes and answers of calls have in common. */
function ended(value: Row): Record<string, unknown> {
  const stdoutBytes = decode(value["stdout"] ?? "", value["encoding"]);
  const stderrBytes = decode(value["stderr"] ?? "", value["encoding"]);
  const status = text(value["status"]);
  const { encoding: _, ...rest } = value;
  return {
    id: "",
    ...renamed(rest, camel),
    status,
    ok: status === "ok",
    stdout: stdoutBytes.toString(),
    stderr: stderrBytes.toString(),
    stdoutBytes,
    stderrBytes,
    artifacts: rows(value["artifacts"]).map(artifact),
    artifactErrors: list(value["artifact_errors"]),
    result: (value["result"] ?? null) as Result | null,
    error: (value["error"] ?? null) as Raised | null,
    raw: value,
  };
}

function network(value: unknown): Network | null {
  if (value === null) return null;
  const told = row(value);
  return {
    ...renamed<Network>(told, camel),
    grants: list(told["grants"]),
    connections: rows(told["connections"]).map((it) => renamed<Connection>(it, camel)),
  };
}

function artifact(value: Row): Artifact {
  const content = value["content"];
  return {
    path: text(value["path"]),
    bytes: Number(value["bytes"]),
    mediaType: String(value["media_type"] ?? ""),
    content: typeof content === "string" ? Buffer.from(content, "base64") : undefined,
  };
}

function denial(value: Row): Denial {
  const { event: _, seq: __, ...rest } = value;
  return rest as unknown as Denial;
}

function encode(data: Data): unknown {
  return typeof data === "string" ? data : content(data);
}

function content(data: Data): { content: string; encoding?: "base64" } {
  if (typeof data === "string") return { content: data };
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return { content: bytes.toString("base64"), encoding: "base64" };
}

function decode(value: unknown, encoding: unknown): Buffer {
  return Buffer.from(text(value), encoding === "base64" ? "base64" : "utf8");
}

function files(named: Readonly<Record<string, Data>>): unknown[] {
  return Object.entries(named).map(([path, data]) => ({ path, ...content(data) }));
}

function each<From, To>(named: Readonly<Record<string, From>>, change: (value: From) => To) {
  return Object.fromEntries(Object.entries(named).map(([key, value]) => [key, change(value)]));
}

function renamed<T>(value: Row, rename: (name: string) => string): T {
  return Object.fromEntries(Object.entries(value).map(([key, it]) => [rename(key), it])) as T;
}

function snake(word: string): string {
  return word.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function camel(word: string): string {
  return word.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function text(value: unknown): string {
  if (typeof value !== "string") throw strange("what should be text is none");
  return value;
}

function row<T = Row>(value: unknown): T {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw strange("what should be an object is none");
  }
  return value as T;
}

function rows(value: unknown): Row[] {
  return list(value).map((it) => row(it));
}

function list<T = unknown>(value: unknown): T[] {
  if (value !== undefined && value !== null && !Array.isArray(value)) {
    throw strange("what should be a list is none");
  }
  return (value ?? []) as T[];
}

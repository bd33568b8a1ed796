import { request as ask, type IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { BelljarError, BelljarTimeout, Overloaded, Unreachable, gone, problem, strange } from "./errors.js";
import { event, object, type Row } from "./json.js";
import type { Event, Leaving, SandboxOptions } from "./types.js";

const API = "1";
/** More than any answer with all that a run may write. */
const MOST_ANSWER_BYTES = 2 ** 29;
const MOST_PROBLEM_BYTES = 2 ** 20;
const RETRY_MS = 1000;
const MOST_RETRY_MS = 30_000;
const CONNECT_PATIENCE_MS = 30_000;
const CONNECT_PAUSE_MS = 10;

/** One request. */
export interface Ask {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

/** Where the service listens, unless somebody says so. */
export function usualSocket(): string {
  const named = process.env["BELLJAR_SOCKET"];
  const own = process.env["XDG_RUNTIME_DIR"];
  return named || (own?.startsWith("/") ? `${own}/belljar.sock` : "/run/belljar.sock");
}

export class Client {
  readonly #socket: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #retries: number;

  constructor(options: SandboxOptions) {
    this.#socket = options.socket ?? usualSocket();
    this.#headers = options.tenant === undefined ? {} : { "X-Belljar-Tenant": options.tenant };
    this.#retries = options.retries ?? 0;
  }

  async bytes(ask: Ask, leaving: Leaving = {}): Promise<Buffer> {
    const leave = new Leave(leaving);
    return leave.within(async () => read(await this.#open(ask, leave), MOST_ANSWER_BYTES));
  }

  async json(ask: Ask, leaving: Leaving = {}): Promise<Row> {
    return object((await this.bytes(ask, leaving)).toString());
  }

  /** Events from the first `next` on. Leaving the loop closes the connection. */
  async *events<Last>(
    ask: Ask,
    last: (value: Row) => Last,
    leaving: Leaving = {},
  ): AsyncGenerator<Event<Last>, void, undefined> {
    const leave = new Leave(leaving);
    const headers = { ...ask.headers, Accept: "application/x-ndjson" };
    const answer = await leave.within(() => this.#open({ ...ask, headers }, leave));
    const lines = split(answer);
    let hasEnded = false;
    try {
      for (;;) {
        const next = await leave.within(() => lines.next());
        if (next.done) break;
        const told = next.value === "" ? undefined : event(next.value, last);
        if (told === undefined) continue;
        hasEnded = told.event === "outcome";
        yield told;
      }
    } finally {
      answer.destroy();
    }
    if (!hasEnded) throw gone("its events have no end");
  }

  async #open(ask: Ask, leave: Leave): Promise<IncomingMessage> {
    for (let tries = this.#retries; ; tries -= 1) {
      try {
        return await this.#try(ask, leave);
      } catch (error) {
        if (!(error instanceof Overloaded) || tries <= 0) throw error;
        const pause = Math.min(Math.max(error.retryAfterMs ?? RETRY_MS, 1), MOST_RETRY_MS);
        await sleep(pause, undefined, { signal: leave.signal });
      }
    }
  }

  async #try(ask: Ask, leave: Leave): Promise<IncomingMessage> {
    const answer = await this.#connect(ask, leave.signal);
    const status = answer.statusCode ?? 0;
    const api = answer.headers["belljar-api"];
    if (api !== undefined && api !== API) {
      answer.destroy();
      throw strange(`it speaks version ${String(api).slice(0, 20)} of the interface, and this client ${API}`);
    }
    if (status >= 200 && status < 300) return answer;
    let row: Row;
    try {
      row = object((await read(answer, MOST_PROBLEM_BYTES)).toString());
    } catch (error) {
      throw error instanceof Unreachable ? error : strange(`it says ${status}`, error);
    }
    if (typeof row["code"] !== "string") throw strange(`it says ${status}`);
    const after = Number(answer.headers["retry-after"]);
    const named = Number.isFinite(after) ? { retry_after_ms: after * 1000, ...row } : row;
    throw problem(named, status);
  }

  /** A socket whose queue is full is one that somebody listens on. */
  async #connect(ask: Ask, signal: AbortSignal): Promise<IncomingMessage> {
    const end = Date.now() + CONNECT_PATIENCE_MS;
    for (;;) {
      try {
        return await send(this.#socket, { ...ask, headers: { ...this.#headers, ...ask.headers } }, signal);
      } catch (error) {
        if ((error as { code?: unknown }).code !== "EAGAIN" || Date.now() > end) {
          throw this.#failure(error);
        }
        await sleep(CONNECT_PAUSE_MS, undefined, { signal });
      }
    }
  }

  #failure(error: unknown): unknown {
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    if (syscall === "connect") {
      const hint = "start one with: belljar serve";
      const details = { mayRetry: true, hint, cause: error };
      return new Unreachable("unreachable", `no service at ${this.#socket}: ${message}`, details);
    }
    return code?.startsWith("HPE_") ? strange(message, error) : failure(error);
  }
}

/** The caller's signal and time as one. */
class Leave {
  readonly signal: AbortSignal;
  readonly #end: AbortSignal | undefined;

  constructor({ signal, timeoutMs }: Leaving) {
    this.#end = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
    const ends = [signal, this.#end].filter((it) => it !== undefined);
    this.signal = AbortSignal.any(ends);
  }

  /** Whatever goes wrong once the caller has left is for that. */
  async within<T>(step: () => Promise<T>): Promise<T> {
    try {
      this.signal.throwIfAborted();
      return await step();
    } catch (error) {
      if (!this.signal.aborted) throw failure(error);
      if (this.signal.reason !== this.#end?.reason) throw this.signal.reason;
      throw new BelljarTimeout("timeout", "the time that was given has passed", { fault: "caller" });
    }
  }
}

function send(socketPath: string, { method, path, headers, body }: Ask, signal: AbortSignal) {
  return new Promise<IncomingMessage>((resolve, reject) => {
    const bytes = Buffer.from(body ?? "");
    const kind = typeof body === "string" ? "application/json" : "application/octet-stream";
    const fields = { Host: "belljar", Accept: "application/json", "Content-Type": kind, ...headers };
    const sent = ask({
      socketPath,
      method,
      path,
      headers: { ...fields, "Content-Length": bytes.length },
      signal,
      agent: false,
    });
    sent.on("response", resolve);
    sent.on("error", reject);
    sent.end(bytes);
  });
}

async function read(answer: IncomingMessage, mostBytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    length += part.length;
    // Leaving the loop destroys the answer.
    if (length > mostBytes) throw strange("its answer does not end");
    parts.push(part);
  }
  return Buffer.concat(parts, length);
}

async function* split(answer: IncomingMessage): AsyncGenerator<string, void, undefined> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    let rest = part;
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      yield Buffer.concat([...parts, rest.subarray(0, end)]).toString();
      [parts, length, rest] = [[], 0, rest.subarray(end + 1)];
    }
    parts.push(rest);
    length += rest.length;
    if (length > MOST_ANSWER_BYTES) throw strange("its line does not end");
  }
}

function failure(error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  const isOurs = error instanceof BelljarError || error instanceof TypeError;
  if (isOurs || !(error instanceof Error) || code === undefined) return error;
  return code.startsWith("HPE_") ? strange(message, error) : gone(message, error);
}

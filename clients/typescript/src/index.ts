/** Run code in throwaway processes that the kernel confines, through the socket of `belljar serve`. */

import { BelljarError } from "./errors.js";
import { Client, type Ask } from "./http.js";
import { call, name, outcome, request, type Row } from "./json.js";
import type {
  Call, CallOptions, Data, Event, Leaving, Limits, Outcome, RunOptions, SandboxOptions, SessionOptions,
} from "./types.js";

export { BelljarError, BelljarTimeout, Overloaded, Unreachable, type Fault } from "./errors.js";
export { usualSocket } from "./http.js";
export type * from "./types.js";

/** How long the service is asked to hold the line until a run has ended. */
const WAIT_MS = 30_000;

/** Where code of one language runs, each time in a jar of its own. */
export class Sandbox {
  readonly runtime: string;
  readonly #limits: Limits;
  readonly #client: Client;

  constructor(runtime = "python", options: SandboxOptions = {}) {
    this.runtime = runtime;
    this.#limits = options.limits ?? {};
    this.#client = new Client(options);
  }

  /** Waits for the outcome. Whoever stops waiting ends the run. */
  async run(code: string | undefined, options: RunOptions = {}): Promise<Outcome> {
    return outcome(await this.#client.json(this.#ask(code, options), options));
  }

  /** What happens, as it happens, from the first `next` on. Leaving the loop ends the run. */
  stream(code: string | undefined, options: RunOptions = {}): AsyncGenerator<Event, void, undefined> {
    return this.#client.events(this.#ask(code, options), outcome, options);
  }

  /** Begins a run that goes on by itself. */
  async start(code: string | undefined, options: RunOptions = {}): Promise<Run> {
    const ask = this.#ask(code, options);
    const headers = { ...ask.headers, Prefer: "respond-async" };
    return new Run(this.#client, name(await this.#client.json({ ...ask, headers }, options)));
  }

  /** The run of this name, whoever started it. */
  attach(id: string): Run {
    return new Run(this.#client, id);
  }

  /** A jar that answers more than once: its calls see what those before them left. */
  async session(options: SessionOptions = {}): Promise<Session> {
    const limits = { ...this.#limits, ...options.limits };
    const ask = post("/v1/sessions", { runtime: this.runtime, ...request({ ...options, limits }) });
    return new Session(this.#client, await this.#client.json(ask, options));
  }

  #ask(code: string | undefined, options: RunOptions): Ask {
    const limits = { ...this.#limits, ...options.limits };
    const ask = post("/v1/runs", { runtime: this.runtime, code, ...request({ ...options, limits }) });
    const key = options.idempotencyKey;
    return key === undefined ? ask : { ...ask, headers: { "Idempotency-Key": key } };
  }
}

/** A run that nobody has to wait for. */
export class Run {
  readonly #client: Client;
  readonly #path: string;

  /** @internal */
  constructor(client: Client, readonly id: string) {
    this.#client = client;
    this.#path = `/v1/runs/${encodeURIComponent(id)}`;
  }

  /** `queued`, `running`, or how it ended. */
  async status(): Promise<string> {
    return String((await this.#client.json({ method: "GET", path: this.#path }))["status"]);
  }

  /** Until it has ended. It goes on if the caller leaves. */
  async wait(leaving: Leaving = {}): Promise<Outcome> {
    const end = leaving.timeoutMs === undefined ? Infinity : Date.now() + leaving.timeoutMs;
    for (;;) {
      const left = end === Infinity ? {} : { timeoutMs: Math.max(end - Date.now(), 0) };
      const held = Math.ceil(Math.min(WAIT_MS, left.timeoutMs ?? WAIT_MS));
      const ask = { method: "GET", path: `${this.#path}?wait_ms=${held}` } as const;
      const row = await this.#client.json(ask, { ...leaving, ...left });
      if (row["status"] !== "queued" && row["status"] !== "running") return outcome(row);
    }
  }

  /** Ends it, with everything it started. */
  async cancel(): Promise<void> {
    await this.#client.bytes({ method: "DELETE", path: this.#path });
  }

  async writeStdin(data: Data): Promise<void> {
    const body = typeof data === "string" ? Buffer.from(data) : data;
    await this.#client.bytes({ method: "POST", path: `${this.#path}/stdin`, body });
  }

  async closeStdin(): Promise<void> {
    await this.#client.bytes({ method: "POST", path: `${this.#path}/stdin?eof=true` });
  }

  /** What has happened after the event numbered `since`, and then what happens. */
  events(since = 0, leaving: Leaving = {}): AsyncGenerator<Event, void, undefined> {
    const path = `${this.#path}/events?since=${since}`;
    return this.#client.events({ method: "GET", path }, outcome, leaving);
  }

  async artifact(path: string): Promise<Buffer> {
    const parts = path.split("/").map(encodeURIComponent).join("/");
    return this.#client.bytes({ method: "GET", path: `${this.#path}/artifacts/${parts}` });
  }
}

/** A jar that answers more than once. */
export class Session {
  readonly id: string;
  readonly #client: Client;
  readonly #path: string;

  /** @internal */
  constructor(client: Client, /** What was said of it at its beginning. */ readonly raw: Row) {
    this.id = name(raw);
    this.#client = client;
    this.#path = `/v1/sessions/${encodeURIComponent(this.id)}`;
  }

  async call(code: string, options: CallOptions = {}): Promise<Call> {
    return call(await this.#client.json(this.#ask(code, options), options));
  }

  stream(code: string, options: CallOptions = {}): AsyncGenerator<Event<Call>, void, undefined> {
    return this.#client.events(this.#ask(code, options), call, options);
  }

  /** Ends the call that goes on, and keeps what there is. */
  async interrupt(): Promise<void> {
    await this.#client.bytes({ method: "POST", path: `${this.#path}/interrupt` });
  }

  async close(): Promise<void> {
    try {
      await this.#client.bytes({ method: "DELETE", path: this.#path });
    } catch (error) {
      if (!(error instanceof BelljarError) || error.code !== "not_found") throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #ask(code: string, options: CallOptions): Ask {
    return post(`${this.#path}/calls`, { code, ...request(options) });
  }
}

function post(path: string, row: Row): Ask {
  return { method: "POST", path, body: JSON.stringify(row) };
}

/** Text, or bytes as they are. */
export type Data = string | Uint8Array;

/** How much of its language the code may use. */
export type Mode = "off" | "restricted" | "standard" | "full";

/** Those that differ from what the service has. */
export interface Limits {
  memoryBytes?: number;
  cpuMs?: number;
  wallMs?: number;
  descriptors?: number;
  stdoutBytes?: number;
  stderrBytes?: number;
  processes?: number;
  diskBytes?: number;
  inodes?: number;
  fileBytes?: number;
  artifacts?: number;
  artifactBytes?: number;
  connections?: number;
  networkBytes?: number;
  networkBytesPerS?: number;
  onOutputLimit?: "truncate" | "kill";
}

export interface SandboxOptions {
  /** Else `BELLJAR_SOCKET`, `$XDG_RUNTIME_DIR/belljar.sock` or `/run/belljar.sock`. */
  socket?: string;
  limits?: Limits;
  tenant?: string;
  /** How often a service that is overloaded is asked again, after the time that it names. */
  retries?: number;
}

/** How a caller leaves. Leaving ends what was waited for. */
export interface Leaving {
  signal?: AbortSignal;
  timeoutMs?: number;
}

export interface RunOptions extends Leaving {
  args?: readonly string[];
  stdin?: Data;
  /** Standard input stays open after `stdin`, for `writeStdin`. */
  stdinOpen?: boolean;
  env?: Readonly<Record<string, string>>;
  secrets?: Readonly<Record<string, Data>>;
  /** By their paths in the directory that the code starts in. */
  files?: Readonly<Record<string, Data>>;
  /** Which of the files is the code, where `code` is undefined. */
  entry?: string;
  limits?: Limits;
  /** Patterns of the files that come back as artifacts. */
  collect?: readonly string[];
  /** Also the value of the last expression, figures, and exceptions in their parts. */
  rich?: boolean;
  labels?: Readonly<Record<string, string>>;
  start?: "any" | "fresh" | "cold";
  /** Places as `host:port`, or `["loopback"]`; none without it. */
  network?: readonly string[];
  /** Secrets that stay outside, each for the headers of requests to one place of `network`. */
  secretHosts?: Readonly<Record<string, string>>;
  /** At most what the operator says. */
  mode?: Mode;
  floor?: string;
  idempotencyKey?: string;
}

export interface SessionOptions extends Leaving {
  limits?: Limits;
  callLimits?: Limits;
  idleMs?: number;
  lifetimeMs?: number;
  env?: Readonly<Record<string, string>>;
  secrets?: Readonly<Record<string, Data>>;
  files?: Readonly<Record<string, Data>>;
  network?: readonly string[];
  secretHosts?: Readonly<Record<string, string>>;
  mode?: Mode;
  labels?: Readonly<Record<string, string>>;
}

export interface CallOptions extends Leaving {
  stdin?: Data;
  wallMs?: number;
  files?: Readonly<Record<string, Data>>;
  collect?: readonly string[];
}

export interface Artifact {
  readonly path: string;
  readonly bytes: number;
  readonly mediaType: string;
  /** Nothing where the service only keeps it: `Run.artifact` fetches it. */
  readonly content: Buffer | undefined;
}

/** Something that the code tried and was refused. */
export interface Denial {
  readonly kind: string;
  readonly what: string;
  readonly rule: string;
  readonly hint: string;
  readonly count: number;
}

/** What a run made of its network. */
export interface Network {
  readonly kind: "loopback" | "gate";
  readonly grants: readonly string[];
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly connections: readonly Connection[];
  /** How many more there were. */
  readonly unrecordedConnections: number;
}

/** A connection that the code asked for. */
export interface Connection {
  readonly host: string;
  readonly port: number;
  /** What it was pinned to, with the port. */
  readonly address: string | null;
  readonly openedMs: number;
  readonly durationMs: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** `closed`, or why it was refused or cut off. */
  readonly verdict: string;
}

/** Where code breaks the rules of its language, and what to write instead. */
export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly rule: string;
  readonly text: string;
  readonly message: string;
  readonly advice: string;
}

/** What was in force. */
export interface Receipt {
  readonly floor: string;
  readonly level: string;
  readonly layers: readonly { layer: string; state: string; how: string; costUs: number }[];
  readonly limits: readonly { limit: string; state: string; how: string }[];
  readonly notes: readonly string[];
}

/** The value of the last expression. */
export interface Result {
  readonly text: string;
  readonly html: string | null;
  readonly json: unknown;
}

/** An exception that nothing in the code caught. */
export interface Raised {
  readonly type: string;
  readonly message: string;
  readonly traceback: readonly { file: string; line: number; function: string; code: string }[];
}

interface Answer {
  readonly id: string;
  readonly status: string;
  /** Whether the status is `ok`. */
  readonly ok: boolean;
  readonly message: string;
  /** As text; `stdoutBytes` has what is none. */
  readonly stdout: string;
  readonly stderr: string;
  readonly stdoutBytes: Buffer;
  readonly stderrBytes: Buffer;
  readonly stdoutDroppedBytes: number;
  readonly stderrDroppedBytes: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly memoryPeakBytes: number;
  readonly artifacts: readonly Artifact[];
  readonly artifactErrors: readonly string[];
  readonly result: Result | null;
  readonly error: Raised | null;
  /** The answer as it came, with what only newer clients know. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** How a run ended. Whatever the code did is an outcome, and no exception. */
export interface Outcome extends Answer {
  readonly runtime: string;
  readonly exitCode: number | null;
  readonly signal: number | null;
  readonly processesPeak: number;
  readonly timingsMs: Readonly<Record<string, number>>;
  readonly start: string;
  readonly denials: readonly Denial[];
  /** Nothing for a run without one. */
  readonly network: Network | null;
  /** Of the rules of its language. */
  readonly mode: string;
  readonly limits: Readonly<Required<Limits>>;
  readonly receipt: Receipt;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: string | undefined;
}

/** How a call of a session ended. `outcome` says why, if the session ended with it. */
export interface Call extends Answer {
  readonly session: string;
  readonly call: number;
  readonly outcome: Outcome | undefined;
}

/** What happens, as it happens. A character may lie in two pieces of output: `data` is exact. */
export type Event<Last = Outcome> =
  | { readonly event: "queued" | "started"; readonly seq: number; readonly id: string }
  | { readonly event: "stdout" | "stderr"; readonly seq: number; readonly text: string; readonly data: Buffer }
  | { readonly event: "denial"; readonly seq: number; readonly denial: Denial }
  | { readonly event: "outcome"; readonly seq: number; readonly outcome: Last };

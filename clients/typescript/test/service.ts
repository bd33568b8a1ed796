/** The real service, and strange ones. */

import { strict as assert } from "node:assert";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { get } from "node:http";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { BelljarError } from "belljar";

const STARTUP_MS = 30_000;
const PATIENCE_MS = 15_000;

/** A service that ends with the tests of this file. */
export function serve(): { readonly socket: string } {
  const service = { socket: "" };
  let stop = async (): Promise<void> => {};
  before(async () => {
    const program = process.env["BELLJAR_BIN"];
    assert(program, "set BELLJAR_BIN to the program belljar: these tests run against it");
    const directory = await mkdtemp(join(tmpdir(), "belljar-"));
    service.socket = join(directory, "socket");
    const child = spawn(program, ["serve", "--socket", service.socket], { stdio: "ignore" });
    const ended = once(child, "exit");
    stop = async () => {
      child.kill("SIGTERM");
      await ended;
      await rm(directory, { recursive: true });
    };
    const isUp = async () => child.exitCode === null && isHealthy(service.socket);
    assert(await eventually(isUp, STARTUP_MS), "the service does not start");
  });
  after(() => stop());
  return service;
}

function isHealthy(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = get({ socketPath, path: "/healthz", agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    asked.on("error", () => resolve(false));
  });
}

export async function eventually(isSo: () => Promise<boolean>, ms = PATIENCE_MS): Promise<boolean> {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(20)) {
    if (await isSo()) return true;
  }
  return false;
}

/** Whether a process of this host has `mark` among its arguments. */
export async function runsWith(mark: string): Promise<boolean> {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const words = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (words.includes(mark)) return true;
  }
  return false;
}

export interface Fake {
  readonly socket: string;
  readonly asked: string[];
}

/** Says the next of `answers` to each who asks, and then goes away, or holds the line. */
export async function fake<T>(
  answers: readonly (string | Buffer)[],
  use: (fake: Fake) => Promise<T>,
  holds = false,
): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "belljar-"));
  const socket = join(directory, "socket");
  const [left, asked, streams] = [[...answers], [] as string[], new Set<Socket>()];
  const server = createServer((stream) => {
    streams.add(stream);
    stream.on("error", () => {});
    stream.once("data", (head) => {
      asked.push(head.toString());
      stream.write(left.shift() ?? "");
      if (!holds) stream.end();
    });
  });
  server.listen(socket);
  await once(server, "listening");
  try {
    return await use({ socket, asked });
  } finally {
    for (const stream of streams) stream.destroy();
    server.close();
    await rm(directory, { recursive: true, force: true });
  }
}

export function said(body: string, head = "", status = "200 OK"): string {
  return `HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${head}\r\n${body}`;
}

export async function refused(code: string, ask: Promise<unknown>): Promise<BelljarError> {
  const error = await ask.then(
    () => assert.fail(`no ${code}`),
    (error: unknown) => error,
  );
  assert(error instanceof BelljarError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
}

export async function all<T>(events: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const event of events) found.push(event);
  return found;
}

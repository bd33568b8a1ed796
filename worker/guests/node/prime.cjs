// The far end of a line: warms an interpreter up, waits for its first and only task, and makes Node
// start it as if it had been on the command line. Loaded by the bootstrap when the command line
// names this file as the program.
'use strict';

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');

const LINE = 3;
/** The protocol's largest message. */
const BYTES_MAX = 256 * 1024;
/** `BJ`, the version of the protocol, and the variant `Order::Run`. */
const RUN = Buffer.from([0x42, 0x4a, 4, 0, 8]);
/** An order to write a byte to `/dev/null` and to run `a`. */
const SAMPLE = Buffer.concat([
  RUN, Buffer.of(1, 9), Buffer.from('/dev/null'), Buffer.of(251, 0xa4, 1, 1, 0, 1, 32, 0, 0, 1, 1, 97, 0, 0, 0),
]);
const ROUNDS = 4;
/** What programs often load, and Node has not loaded by itself. */
const MODULES = [
  'assert', 'child_process', 'crypto', 'fs/promises', 'perf_hooks', 'querystring', 'readline', 'stream/promises',
  'string_decoder', 'timers/promises', 'url', 'util', 'vm', 'worker_threads', 'zlib',
];
/** The exit code for a top-level await that never settles. */
const UNSETTLED = 13;

// Taken now: a payload may replace them.
const { mkdirSync, openSync, readSync, writeSync, closeSync } = fs;
const { runMain } = Module;

/** Says that this interpreter is up, and returns the secrets of the task that it was given. */
exports.wait = () => {
  const order = Buffer.alloc(BYTES_MAX);
  warm();
  writeSync(LINE, 'ready');
  const length = readSync(LINE, order, 0, BYTES_MAX, null);
  if (length === 0) process.reallyExit(0);
  const task = decode(order, length);
  order.fill(0, 0, length);
  write(task.files);
  assume(task);
  announceEnd();
  startWith(task.argv[0]);
  return task.secrets;
};

/** Reads the bytes of `Order::Run`; nothing in the result shares their memory. */
function decode(order, length) {
  if (RUN.compare(order, 0, RUN.length) !== 0) throw new Error('the line brought no task');
  let at = RUN.length;
  const number = () => {
    const first = order[at++];
    if (first < 251) return first;
    const start = at;
    switch (first) {
      case 251: at += 2; return order.readUInt16LE(start);
      case 252: at += 4; return order.readUInt32LE(start);
      default: at += 8; return Number(order.readBigUInt64LE(start));
    }
  };
  const bytes = () => {
    const count = number();
    const from = at;
    at = from + count;
    if (at > length) throw new Error('the task is cut short');
    return [from, at];
  };
  const text = () => order.toString('utf8', ...bytes());
  const list = (item) => Array.from({ length: number() }, item);
  const pair = (value) => () => [text(), value()];
  const copy = () => Buffer.from(order.subarray(...bytes()));

  const entries = list(() => ({ path: text(), mode: number(), length: number() }));
  if (number() !== 0) throw new Error('the files of the task are not in it');
  const contents = copy();
  if (number() !== 0) throw new Error('a primed interpreter has no standard input');
  text();
  const argv = list(text);
  const env = list(pair(text));
  const secrets = list(pair(copy));
  return { files: { entries, contents }, argv, env, secrets };
}

/** Writes the task's files; whole directories of them are made on the way. */
function write({ entries, contents }) {
  if (entries.length === 0) return;
  const made = new Set([process.cwd()]);
  const mask = process.umask(0);
  let from = 0;
  try {
    for (const entry of entries) {
      const parent = path.dirname(entry.path);
      if (!made.has(parent)) {
        mkdirSync(parent, { recursive: true, mode: 0o755 });
        made.add(parent);
      }
      const file = openSync(entry.path, 'w', entry.mode);
      const end = from + entry.length;
      while (from < end) from += writeSync(file, contents, from, end - from);
      closeSync(file);
    }
  } finally {
    process.umask(mask);
  }
}

/** Takes the task's arguments and its environment, in their order. */
function assume({ argv, env }) {
  process.argv.splice(1, Infinity, ...argv);
  for (const name of Object.keys(process.env)) delete process.env[name];
  for (const [name, value] of env) process.env[name] = value;
  if (process.env.NODE_PATH) Module._initPaths();
}

/** Lets Node start `entry` in place of this file. */
function startWith(entry) {
  delete require.cache[__filename];
  // A bound function has no frame in a stack trace. Node reads the property once.
  Object.defineProperty(Module, 'runMain', {
    configurable: true,
    enumerable: true,
    get() {
      Object.defineProperty(Module, 'runMain', { value: runMain, writable: true });
      return runMain.bind(Module, entry);
    },
  });
}

/**
 * Tells the supervisor when the program is over, after the last statement of its own. An uncaught
 * error is printed when no statement can run any more: then the end of the process has to do.
 */
function announceEnd() {
  const announce = (code) => {
    try {
      writeSync(LINE, Buffer.of(code & 255));
    } catch {
      // Nobody listens.
    }
  };

  const { emit, reallyExit } = process;
  process.reallyExit = {
    reallyExit(...args) {
      announce(args[0]);
      reallyExit.apply(process, args);
    },
  }.reallyExit;

  const last = (given) => {
    const code = process.exitCode ?? given;
    if (Number.isInteger(code) && code !== UNSETTLED) announce(code);
  };
  // Node looks for `emit` when nothing is left to do. Whoever listens by then was there before.
  Object.defineProperty(Object.getPrototypeOf(process), 'emit', {
    configurable: true,
    get() {
      if (process._exiting && isCalledByNode()) process.on('exit', last);
      return emit;
    },
    set(value) {
      Object.defineProperty(this, 'emit', { value, writable: true, enumerable: true, configurable: true });
    },
  });
}

/** Whether no function of a script, nor of Node's library, is below the caller. */
function isCalledByNode() {
  const { prepareStackTrace, stackTraceLimit } = Error;
  try {
    Error.stackTraceLimit = 3;
    Error.prepareStackTrace = (_, frames) => frames.length;
    return new Error().stack === 2;
  } catch {
    return false;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    Error.prepareStackTrace = prepareStackTrace;
  }
}

/** Makes Node load and compile what receiving, starting and ending a small program need. */
function warm() {
  for (const name of MODULES) require(name);
  import('data:text/javascript,import "node:fs"; await 0');
  for (let round = 0; round < ROUNDS; round++) {
    // Nothing is compiled before its first call, and nothing is fast in it.
    const task = decode(SAMPLE, SAMPLE.length);
    try {
      write(task.files);
    } catch {
      // A jar without that device: the first file will take longer.
    }
    assume({ argv: process.argv.slice(1), env: Object.entries(process.env) });
    start(__filename);
    speak();
    process._tickCallback?.();
    process.emit('belljar');
    isCalledByNode();
  }
}

/** Writes nothing to both outputs, in every way that leads to them. */
function speak() {
  const { stdout, stderr } = process;
  stdout.write('');
  stderr.write('');
  stdout.write = stderr.write = () => true;
  console.log(1, 'one', { one: [1] }, new Error('one'));
  console.error('%s', 1);
  delete stdout.write;
  delete stderr.write;
  // Opening them made their pipes fail where a program's own `fs.writeSync(1, ...)` would wait.
  for (const { _handle: handle } of [stdout, stderr]) handle?.setBlocking?.(true);
}

/** Starts this very file as a program, which does nothing, and forgets it. */
function start(file) {
  const { [file]: self } = require.cache;
  delete require.cache[file];
  runMain(file);
  require.cache[file] = self;
  delete process.mainModule;
}

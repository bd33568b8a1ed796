// Runs code and tells more of it than its output: the value of its last statement, and what it threw.
// Alone it serves a session at the other end of descriptor 0; with the name of a script it runs that,
// and leaves what it has to tell in a file.
'use strict';

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { Readable } = require('node:stream');
const { inspect } = require('node:util');
const vm = require('node:vm');
const { Worker, isMainThread, workerData, parentPort } = require('node:worker_threads');

const CHANNEL = 0;
const RESULT = '/work/.belljar-result.json';
const TEXT_MAX = 64 << 10;
const JSON_MAX = 64 << 10;
const NODES_MAX = 65536;
const FRAMES_MAX = 100;
const INTERRUPT = '!'.charCodeAt(0);
const { writeSync } = fs;

/** Lines of calls, which are in no file. */
const sources = new Map();

/** Evaluates a script in the global scope, where what it declares stays. */
function evaluate(code, filename, options) {
  const importModuleDynamically = vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER;
  return new vm.Script(code, { filename, importModuleDynamically }).runInThisContext(options);
}

/** A value as text, and as JSON if it is plain data; nothing for `undefined`. */
function describe(value) {
  if (value === undefined) return null;
  let text;
  try {
    text = inspect(value).slice(0, TEXT_MAX);
  } catch (error) {
    text = `<a value that cannot be shown: ${error?.name}>`;
  }
  let json = null;
  try {
    if (isPlain(value, { left: NODES_MAX })) json = JSON.stringify(value);
  } catch {
    // A loop, or more than there is room for.
  }
  return { text, html: null, json: json?.length <= JSON_MAX ? json : null };
}

/** Whether JSON says all of it. */
function isPlain(value, budget) {
  if (--budget.left < 0) return false;
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return true;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object') return false;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Array.prototype && prototype !== Object.prototype && prototype !== null) return false;
  if (typeof value.toJSON === 'function') return false;
  return Object.values(value).every((each) => isPlain(each, budget));
}

/** What was thrown, with the lines that led to it. */
function explain(thrown) {
  try {
    const isError = thrown instanceof Error || typeof thrown?.stack === 'string';
    if (!isError) return { type: typeof thrown, message: String(inspect(thrown)).slice(0, TEXT_MAX), traceback: [] };
    const frames = [];
    for (const line of String(thrown.stack).split('\n')) {
      const found = /^\s+at (?:(.*?) \()?(?:file:\/\/)?(\/[^)]*|<call \d+>):(\d+):\d+\)?$/.exec(line);
      if (!found || found[2] === __filename || frames.length >= FRAMES_MAX) continue;
      const [, name, file, number] = found;
      const code = lineOf(file, Number(number));
      frames.unshift({ file: file.replace(/^\/work\//, ''), line: Number(number), function: name ?? '', code });
    }
    return { type: String(thrown.name ?? 'Error'), message: String(thrown.message).slice(0, TEXT_MAX), traceback: frames };
  } catch {
    return { type: 'Error', message: '', traceback: [] };
  }
}

function lineOf(file, number) {
  try {
    if (!sources.has(file)) sources.set(file, fs.readFileSync(file, 'utf8').slice(0, 1 << 20).split('\n'));
    return (sources.get(file)[number - 1] ?? '').trim().slice(0, 1000);
  } catch {
    return '';
  }
}

/** As JSON; half of a surrogate pair is text here, and nowhere else. */
function asJson(told) {
  return JSON.stringify(told, (_, value) => (typeof value === 'string' ? Buffer.from(value).toString() : value));
}

/** Takes the lines of ours out of a stack. */
function withoutOwnLines(thrown) {
  try {
    const isOwn = (line) => line.includes(__filename) || line.includes('(node:');
    if (typeof thrown?.stack === 'string') {
      thrown.stack = thrown.stack.split('\n').filter((line) => !/^\s+at /.test(line) || !isOwn(line)).join('\n');
    }
  } catch {
    // Frozen: it stays as it is.
  }
  return thrown;
}

/** Makes `file` the main module, and its names those of everybody. */
function assumeMain(file) {
  const main = new Module(file, null);
  Object.assign(main, { id: '.', filename: file, paths: Module._nodeModulePaths(path.dirname(file)) });
  process.mainModule = main;
  const names = { require: Module.createRequire(file), module: main, exports: main.exports };
  Object.assign(names, { __filename: file, __dirname: path.dirname(file) });
  for (const [name, value] of Object.entries(names)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
  }
}

/** One script, as Node itself would run it. */
function runScript(entry) {
  const told = { value: null, error: null };
  process.argv.splice(1, 1);
  let value;
  process.on('uncaughtExceptionMonitor', (thrown) => {
    told.error = explain(withoutOwnLines(thrown));
  });
  process.on('exit', () => {
    try {
      told.value = told.error ? null : describe(value);
      fs.writeFileSync(RESULT, asJson(told));
    } catch (error) {
      process.stderr.write(`the result could not be told: ${error}\n`);
    }
  });
  const code = fs.readFileSync(entry, 'utf8');
  if (!entry.endsWith('.mjs') && isScript(code, entry)) {
    assumeMain(entry);
    value = evaluate(code, entry, { displayErrors: true });
  } else {
    // A module has no value, and what is no script either is for Node to complain of.
    Module.runMain(entry);
  }
}

function isScript(code, filename) {
  try {
    return Boolean(new vm.Script(code, { filename }));
  } catch {
    return false;
  }
}

/**
 * What both threads know of a call: none is there; it is there, and asked to end before it began; its
 * script runs; what it promised is waited for; a signal is about to be sent, and was.
 */
const [IDLE, GIVEN, ASKED, RUNS, WAITS, SIGNALLING, SIGNALLED] = [0, 1, 2, 3, 4, 5, 6];
const INNER = '__belljar_inner';
const INTERRUPTED = 'ERR_SCRIPT_EXECUTION_INTERRUPTED';

/** Calls, one after the other, on what they have in common. */
class Session {
  #state = new Int32Array(new SharedArrayBuffer(4));
  #interrupt = null;

  serve() {
    assumeMain('/work/session.js');
    process.argv.splice(1, Infinity);
    delete process.mainModule;
    process.on('uncaughtException', (thrown) => complain(thrown));
    const worker = new Worker(__filename, { workerData: { state: this.#state } });
    worker.on('message', (call) => {
      if (call === INTERRUPT) this.#interrupt?.();
      else if (call) this.answer(call);
      else process.exit();
    });
    worker.once('online', () => send(0, ''));
  }

  async answer({ number, code, stdin, files }) {
    const filename = `<call ${number}>`;
    let told;
    try {
      for (const [name, bytes] of files) {
        const file = path.join('/work', name);
        fs.mkdirSync(path.dirname(file), { recursive: true });
        fs.writeFileSync(file, bytes);
      }
      const input = Readable.from(stdin.length ? [Buffer.from(stdin)] : [], { objectMode: false });
      Object.defineProperty(process, 'stdin', { value: input, configurable: true, writable: true });
      sources.set(filename, code.split('\n'));
      told = { status: 'ok', value: describe(await this.evaluate(code, filename)) };
    } catch (thrown) {
      const isInterrupt = thrown?.code === INTERRUPTED;
      complain(thrown);
      told = { status: isInterrupt ? 'interrupted' : 'error', error: explain(thrown) };
    }
    Atomics.store(this.#state, 0, IDLE);
    this.#interrupt = null;
    send(number, asJson(told));
  }

  /** A value that is to come is waited for. */
  async evaluate(code, filename) {
    const interrupted = new Promise((_, reject) => {
      this.#interrupt = () => reject(interruption());
    });
    interrupted.catch(() => {});
    const value = this.#run(code, filename);
    return value instanceof Promise ? Promise.race([value, interrupted]) : value;
  }

  /**
   * Runs a script such that a signal ends it. The signal is sent and arrives while Node listens for
   * it, which is in here alone: at any other moment it would end the process.
   */
  #run(code, filename) {
    const state = this.#state;
    const inner = () => {
      if (Atomics.compareExchange(state, 0, GIVEN, RUNS) !== GIVEN) throw interruption();
      try {
        return evaluate(code, filename, { displayErrors: false });
      } finally {
        // Not reached by a script that was ended.
        if (Atomics.compareExchange(state, 0, RUNS, WAITS) !== RUNS) {
          Atomics.wait(state, 0, SIGNALLING);
          while (Atomics.load(state, 0) === SIGNALLED);
        }
      }
    };
    Object.defineProperty(globalThis, INNER, { value: inner, configurable: true });
    try {
      return RUNNER.runInThisContext({ breakOnSigint: true, displayErrors: false });
    } finally {
      delete globalThis[INNER];
      Atomics.store(state, 0, WAITS);
    }
  }
}

const RUNNER = new vm.Script(`${INNER}()`);

function interruption() {
  return Object.assign(new Error('the call was interrupted'), { code: INTERRUPTED });
}

function complain(thrown) {
  try {
    process.stderr.write(`${inspect(withoutOwnLines(thrown))}\n`);
  } catch {
    process.stderr.write('an error that cannot be shown\n');
  }
}

function send(number, body) {
  const data = Buffer.from(body);
  const message = Buffer.concat([Buffer.from(`answer ${number} ${data.length}\n`), data]);
  for (let at = 0; at < message.length; ) {
    try {
      at += writeSync(CHANNEL, message, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/**
 * Alone reads the socket, in a thread of its own: what interrupts a call comes while it runs. Never
 * blocks, as a process whose thread is in the kernel cannot exit.
 */
function read({ state }) {
  const net = require('node:net');
  const socket = new net.Socket({ fd: CHANNEL, readable: true, writable: false });
  const parser = parse(state);
  parser.next();
  socket.on('data', (data) => parser.next(data));
  socket.on('error', () => {});
  socket.on('close', () => parentPort.postMessage(null));
}

/** Interrupts the call that is there, whatever it does. */
function interrupt(state) {
  if (Atomics.compareExchange(state, 0, GIVEN, ASKED) === GIVEN) return;
  if (Atomics.compareExchange(state, 0, RUNS, SIGNALLING) === RUNS) {
    let after = SIGNALLED;
    try {
      // To its children as well, as from a terminal.
      process.kill(0, 'SIGINT');
    } catch {
      // Where no signals are let through, the call is not interrupted.
      after = RUNS;
    }
    Atomics.compareExchange(state, 0, SIGNALLING, after);
    Atomics.notify(state, 0);
  } else if (Atomics.load(state, 0) === WAITS) {
    parentPort.postMessage(INTERRUPT);
  }
}

/** Understands what it is given piece by piece. */
function* parse(state) {
  let held = Buffer.alloc(0);
  function* take(count) {
    const pieces = [held];
    let size = held.length;
    while (size < count) {
      pieces.push(yield);
      size += pieces.at(-1).length;
    }
    const all = Buffer.concat(pieces);
    held = all.subarray(count);
    return all.subarray(0, count);
  }
  function* line() {
    let end;
    while ((end = held.indexOf(10)) < 0) held = Buffer.concat([held, yield]);
    return (yield* take(end + 1)).toString('utf8', 0, end);
  }
  for (;;) {
    const [first] = yield* take(1);
    if (first === INTERRUPT) {
      interrupt(state);
      continue;
    }
    const [number, code, stdin, count] = (yield* line()).split(' ').slice(1).map(Number);
    const call = { number, code: (yield* take(code)).toString(), stdin: yield* copy(stdin), files: [] };
    for (let index = 0; index < count; index++) {
      const [, size, name] = /^(\d+) (.*)$/.exec(yield* line());
      call.files.push([name, yield* copy(Number(size))]);
    }
    Atomics.store(state, 0, GIVEN);
    parentPort.postMessage(call);
  }
  function* copy(count) {
    return Buffer.from(yield* take(count));
  }
}

if (!isMainThread && workerData?.state) {
  read(workerData);
} else if (process.argv.length > 2) {
  runScript(process.argv[2]);
} else {
  new Session().serve();
}

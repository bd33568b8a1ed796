// Has a program keep to its rules while it runs. Given the rules, as one text, and what to start then.
//
// Advice, as all rules are: what a name leads to is decided when it is used, by the lists that were
// used before the start. The jar is what holds.
'use strict';

const Module = require('node:module');
const path = require('node:path');
const Stream = require('node:stream');
const { fileURLToPath } = require('node:url');

const OWN = `${__dirname}${path.sep}`;
const WORK = '/work/';

/** What cannot be seen in a source: text that becomes code. */
function refuseCode() {
  const refuse = (name) => ({ [name]() { throw new EvalError(`${name} is refused by the rules of this run`); } })[name];
  const makers = { Function() {}, async AsyncFunction() {}, *GeneratorFunction() {}, async *AsyncGeneratorFunction() {} };
  for (const [name, made] of Object.entries(makers)) {
    const prototype = Object.getPrototypeOf(made);
    const value = refuse(name);
    // A method cannot be called with `new`, and has no prototype: comparisons need one.
    Object.defineProperty(value, 'prototype', { value: prototype });
    Object.defineProperty(prototype, 'constructor', { value, configurable: false, writable: false });
    if (name === 'Function') Object.defineProperty(globalThis, name, { value, writable: false, configurable: false });
  }
  Object.defineProperty(globalThis, 'eval', { value: refuse('eval'), writable: false, configurable: false });
}

/** Functions of `process` that Node itself or a package calls, and that act on nothing but this program. */
const HARMLESS = [
  '_fatalException', '_rawDebug', '_tickCallback', 'assert', 'availableMemory', 'constrainedMemory', 'cpuUsage', 'emit',
  'emitWarning', 'getActiveResourcesInfo', 'getegid', 'geteuid', 'getgid', 'getgroups', 'getuid',
  'hasUncaughtExceptionCaptureCallback', 'openStdin', 'reallyExit', 'ref', 'resourceUsage', 'setSourceMapsEnabled',
  'setUncaughtExceptionCaptureCallback', 'threadCpuUsage', 'umask', 'unref',
];

/** Takes away what has a name that a program cannot write, and can still put together. */
function takeAway({ globals, process: plain }) {
  for (const name of globals) delete globalThis[name];
  delete Object.prototype.__proto__;
  const hidden = ['binding', '_linkedBinding', 'dlopen', 'getBuiltinModule', '_debugProcess', '_debugEnd'];
  for (const name of hidden) delete process[name];
  if (!plain) return;
  const kept = new Set([...plain, ...HARMLESS]);
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(process))) {
    if (typeof value === 'function' && !kept.has(name)) delete process[name];
  }
  delete process.report;
  for (const name of ['stdin', 'stdout', 'stderr']) narrow(name);
}

/** Keeps a standard stream, which is made when it is first asked for, from being a way to others of its kind. */
function narrow(name) {
  const { get, ...descriptor } = Object.getOwnPropertyDescriptor(process, name);
  if (!get) return;
  let seen;
  const narrowed = () => {
    const stream = get.call(process);
    if (stream !== seen) close(stream);
    seen = stream;
    return stream;
  };
  Object.defineProperty(process, name, { ...descriptor, get: narrowed });
}

/** A stream of files carries the module that opens them, and every stream what makes more of them. */
function close(stream) {
  for (const symbol of Object.getOwnPropertySymbols(stream)) {
    const { [symbol]: held } = stream;
    if (typeof held?.readFile === 'function') stream[symbol] = { read: held.read, close: held.close };
  }
  const plain = new Set(Object.values(Stream).map((maker) => maker?.prototype));
  for (let made = Object.getPrototypeOf(stream); made && !plain.has(made); made = Object.getPrototypeOf(made)) {
    const { name } = made.constructor;
    const value = { [name]() { throw new TypeError(`${name} is refused by the rules of this run`); } }[name];
    // What prints a stream compares it with its maker.
    Object.defineProperty(value, 'prototype', { value: made });
    Object.defineProperty(made, 'constructor', { value });
  }
}

/** Hides the loader from its modules: a program reaches those. What Node gives them stays. */
function hideLoader() {
  const { constructor: _, ...rest } = Object.getOwnPropertyDescriptors(Module.prototype);
  Module.prototype = Object.create(Object.prototype, rest);
}

/**
 * Who may load anything: what a package of the operator's needs comes with it. Known by what a module was
 * loaded from, before it runs, as it can change whatever it says of itself.
 */
class Trust {
  #files = new WeakMap();
  #awaited = new Set();

  constructor() {
    const { _nodeModulePaths: paths } = Module;
    // Node asks for these when a module has its place and its code was not run; what answers has no frame then.
    Module._nodeModulePaths = (from) => {
      this.#note();
      return paths(from);
    };
  }

  /** The file of which a module is about to be made. */
  await(file) {
    this.#awaited.add(file);
  }

  forget(file) {
    this.#awaited.delete(file);
  }

  add(module, file) {
    if (!this.#files.has(module)) this.#files.set(module, file);
  }

  has(parent) {
    this.#note();
    return isTrusted(this.#files.get(parent));
  }

  #note() {
    for (const file of this.#awaited) {
      const module = Object.getOwnPropertyDescriptor(Module._cache, file)?.value;
      if (!module) continue;
      this.forget(file);
      this.add(module, file);
      if (file.startsWith(OWN)) delete Module._cache[file];
    }
  }
}

function isTrusted(file) {
  return [OWN, '/usr/'].some((place) => file?.startsWith(place));
}

/** Has what a package makes for itself load for it as its own does. */
function trustMade(trust) {
  const { createRequire } = Module;
  Module.createRequire = function (from) {
    const made = createRequire(from);
    const file = /^file:/.test(from) ? fileURLToPath(from) : from;
    if (!isTrusted(file)) return made;
    const parent = new Module(file);
    Object.assign(parent, { filename: file, paths: Module._nodeModulePaths(path.dirname(file)) });
    trust.add(parent, file);
    return Object.assign((request) => parent.require(request), made);
  };
}

/** Loads what the list has, and files of the run. */
function holdImports({ mode, modules }, entry) {
  const trust = new Trust();
  const allowed = new Set(modules);
  const isAdmitted = (name) => {
    const plain = name.replace(/^node:/, '');
    if (Module.builtinModules.includes(plain)) return allowed.has(plain) || allowed.has(plain.split('/')[0]);
    return null;
  };
  const refuse = (name) => {
    const error = new Error(`${name} is not among the modules of mode ${mode}`);
    throw Object.assign(error, { code: 'ERR_BELLJAR_RULES' });
  };
  const { _load: load } = Module;
  const held = function (request, parent, isMain) {
    const builtin = isAdmitted(request);
    const isHeld = !isMain && parent && !trust.has(parent);
    if (isHeld && builtin === false) refuse(request);
    if (builtin !== null) return load.apply(this, arguments);
    const file = Module._resolveFilename(request, parent, isMain);
    const isOwn = file.startsWith(WORK) && mode !== 'restricted' && !file.endsWith('.node');
    const isPackage = allowed.has(request) || allowed.has(request.split('/')[0]);
    if (isHeld && !isOwn && !isPackage) refuse(request);
    trust.await(file);
    try {
      return load.apply(this, arguments);
    } finally {
      trust.forget(file);
    }
  };
  startWith(entry, load, held);
  trust.await(path.resolve(entry));
  trustMade(trust);
  hideLoader();
  Module.syncBuiltinESMExports();
  // Where Node has hooks for both kinds of modules, they see what an import names as well.
  Module.registerHooks?.({
    resolve(specifier, context, next) {
      const isTrusted = !context.parentURL?.startsWith(`file://${WORK}`);
      if (!isTrusted && isAdmitted(specifier) === false) refuse(specifier);
      return next(specifier, context);
    },
  });
}

/** Loads the program itself as Node would: no frame of this script stands between it and Node. */
function startWith(entry, load, held) {
  let isHeld = false;
  const hold = () => {
    if (!isHeld) Object.defineProperty(Module, '_load', { value: held, writable: true });
    isHeld = true;
  };
  const once = {
    get() {
      hold();
      return load;
    },
  }.get;
  // A bound function has no frame. A program that is a module of the language does not come here, and
  // does not begin before the last of these.
  process.nextTick(() => Object.defineProperty(Module, '_load', { get: once }));
  process.nextTick(Module.runMain.bind(Module), entry);
  process.nextTick(hold);
}

const rules = JSON.parse(process.argv[2]);
// What follows is as if it had been started itself.
process.argv.splice(1, 2);
const [, entry] = process.argv;
holdImports(rules, entry);
takeAway(rules);
refuseCode();
delete require.cache[__filename];
// A program that is a module of the language has none, and one that is not becomes it.
delete process.mainModule;

// Has a program keep to its rules while it runs. Given the rules, as one text, and what to start then.
//
// Advice, as all rules are: what a name leads to is decided when it is used, by the lists that were
// used before the start. The jar is what holds.
'use strict';

const Module = require('node:module');
const path = require('node:path');

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

/** Takes away what has a name that a program cannot write, and can still put together. */
function takeAway(globals) {
  for (const name of globals) delete globalThis[name];
  delete Object.prototype.__proto__;
  const hidden = ['binding', '_linkedBinding', 'dlopen', 'getBuiltinModule', '_debugProcess', '_debugEnd'];
  for (const name of hidden) delete process[name];
}

/** Loads what the list has, and files of the run. */
function holdImports({ mode, modules }) {
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
  const load = Module._load;
  Module._load = function (request, parent, isMain) {
    // What a package of the operator's needs comes with it.
    const isTrusted = [OWN, '/usr/'].some((place) => String(parent?.filename).startsWith(place));
    if (isMain || !parent || isTrusted) return load.apply(this, arguments);
    const builtin = isAdmitted(request);
    if (builtin === false) refuse(request);
    if (builtin === null) {
      const file = Module._resolveFilename(request, parent, false);
      const isOwn = file.startsWith(WORK) && mode !== 'restricted' && !file.endsWith('.node');
      const isPackage = allowed.has(request) || allowed.has(request.split('/')[0]);
      if (!isOwn && !isPackage) refuse(request);
    }
    return load.apply(this, arguments);
  };
  // Where Node has hooks for both kinds of modules, they see what an import names as well.
  Module.registerHooks?.({
    resolve(specifier, context, next) {
      const isTrusted = !context.parentURL?.startsWith(`file://${WORK}`);
      if (!isTrusted && isAdmitted(specifier) === false) refuse(specifier);
      return next(specifier, context);
    },
  });
}

const rules = JSON.parse(process.argv[2]);
// What follows is as if it had been started itself.
process.argv.splice(1, 2);
const [, entry] = process.argv;
holdImports(rules);
takeAway(rules.globals);
refuseCode();
delete require.cache[__filename];
// Behind this script, so that no stack shows it; a bound function has no frame.
process.nextTick(Module.runMain.bind(Module), entry);

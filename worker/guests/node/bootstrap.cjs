// Runs before the payload: takes its secrets off their pipe and mends what a jar cannot show.
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** Reads the pipe to its end and closes it; nothing where there is none. */
function take() {
  const descriptor = process.env.BELLJAR_SECRETS_FD;
  delete process.env.BELLJAR_SECRETS_FD;
  if (descriptor === undefined) return [];
  const pipe = Number(descriptor);
  let data;
  try {
    data = fs.readFileSync(pipe);
  } finally {
    fs.closeSync(pipe);
  }
  const fields = [];
  for (let at = 0; at < data.length; ) {
    const start = at + 4;
    at = start + data.readUInt32LE(start - 4);
    fields.push(data.subarray(start, at));
  }
  const entries = [];
  for (let i = 0; i + 1 < fields.length; i += 2) entries.push([fields[i].toString(), fields[i + 1]]);
  return entries;
}

/** A frozen object without prototype; getters keep values out of `console.log`. */
function seal(entries) {
  const target = Object.create(null);
  for (const [name, bytes] of entries) {
    const text = bytes.toString();
    const isText = Buffer.from(text).equals(bytes);
    Object.defineProperty(target, name, {
      enumerable: true,
      get: () => (isText ? text : Buffer.from(bytes)),
    });
  }
  // Sloppy code would not notice that a frozen object ignored its write.
  const refuse = () => {
    throw new TypeError('belljar.secrets is read-only');
  };
  return new Proxy(Object.freeze(target), {
    set: refuse,
    defineProperty: refuse,
    deleteProperty: refuse,
    setPrototypeOf: refuse,
  });
}

// A jar shows no /proc/cpuinfo, so Node would count no processor at all.
if (os.cpus().length === 0) {
  const count = os.availableParallelism ? os.availableParallelism() : 1;
  const times = { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 };
  os.cpus = () => Array.from({ length: count }, () => ({ model: 'unknown', speed: 0, times: { ...times } }));
  require('node:module').syncBuiltinESMExports();
}

const prime = path.join(__dirname, 'prime.cjs');
const secrets = process.argv[1] === prime ? require(prime).wait() : take();
Object.defineProperty(globalThis, 'belljar', {
  value: Object.freeze({ __proto__: null, secrets: seal(secrets) }),
});

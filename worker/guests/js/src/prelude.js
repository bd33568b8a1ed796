// Builds the globals from what Rust provides. What it returns finishes them when the script's
// arguments and secrets are known, describes an error, and prepares for a script to come.
// Every run pays for reading this file: what few scripts need is a part, read when it is needed.
(native) => {
  const parts = {};
  const part = (name) => (parts[name] ??= native.part(name));
  let secrets;
  let inspector;
  let clone;
  const inspect = (value) => (inspector ??= part("inspect")(secrets))(value);

  const define = (object, properties) => {
    for (const [name, value] of Object.entries(properties)) {
      Object.defineProperty(object, name, { value, writable: true, configurable: true });
    }
  };
  const frozen = (properties) => Object.freeze(Object.assign(Object.create(null), properties));

  const toBytes = (data) => {
    if (typeof data === "string") return native.encode(data.toWellFormed());
    if (data instanceof ArrayBuffer) return new Uint8Array(data);
    if (ArrayBuffer.isView(data)) {
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    }
    throw new TypeError("expected a string, an ArrayBuffer or a view of one");
  };
  const raw = (data) => (typeof data === "string" ? data.toWellFormed() : toBytes(data));

  const refuse = () => {
    throw new TypeError("belljar.secrets is read-only");
  };
  // The map is frozen, and yet a Proxy: only a trap can make sloppy code hear of its refusal.
  const seal = (pairs) => {
    const plain = Object.create(null);
    for (const [name, value] of pairs) {
      // Bytes cannot be frozen; every reader gets a copy.
      const access = typeof value === "string" ? { value } : { get: () => value.slice() };
      Object.defineProperty(plain, name, { enumerable: true, ...access });
    }
    return new Proxy(Object.freeze(plain), {
      set: refuse,
      defineProperty: refuse,
      deleteProperty: refuse,
      setPrototypeOf: refuse,
    });
  };

  const show = (value) => (typeof value === "string" ? value : inspect(value));
  const describe = (thrown) => {
    const isError = Error.isError(thrown) || thrown instanceof DOMException;
    return `${isError ? "" : "Uncaught "}${inspect(thrown)}`.toWellFormed();
  };

  const format = (args) => {
    if (typeof args[0] !== "string" || args.length < 2 || !args[0].includes("%")) {
      return args.map(show).join(" ");
    }
    let next = 1;
    const head = args[0].replace(/%[sdifjoOc%]/g, (directive) => {
      if (directive === "%%") return "%";
      if (next === args.length) return directive;
      const value = args[next++];
      switch (directive) {
        case "%s": return show(value);
        case "%d": return typeof value === "bigint" ? `${value}n` : String(Number(value));
        case "%i": return String(parseInt(value, 10));
        case "%f": return String(parseFloat(value));
        case "%j": return JSON.stringify(value) ?? "undefined";
        case "%c": return "";
        default: return inspect(value);
      }
    });
    return [head, ...args.slice(next).map(show)].join(" ");
  };

  let margin = "";
  const line = (write) => (...args) => {
    const text = margin + format(args).replaceAll("\n", `\n${margin}`);
    write(`${text}\n`.toWellFormed());
  };
  const log = line(native.writeOut);
  const warn = line(native.writeErr);
  const started = new Map();
  define(globalThis, {
    console: {
      log, info: log, debug: log, table: log, error: warn, warn,
      dir: (value) => log(inspect(value)),
      assert: (condition, ...args) => condition || warn("Assertion failed", ...args),
      trace: (...args) => {
        const here = new Error(format(args));
        here.name = "Trace";
        warn(here);
      },
      group: (...args) => {
        if (args.length) log(...args);
        margin += "  ";
      },
      groupEnd: () => {
        margin = margin.slice(2);
      },
      time: (label = "default") => void started.set(label, performance.now()),
      timeEnd: (label = "default") => {
        if (started.has(label)) log(`${label}: ${(performance.now() - started.get(label)).toFixed(3)}ms`);
        started.delete(label);
      },
    },
    print: (...args) => native.writeOut(`${args.map(String).join(" ")}\n`.toWellFormed()),
  });

  const timer = (repeats) => (callback, delay, ...args) => {
    if (typeof callback !== "function") throw new TypeError("a timer needs a function");
    const delay_ms = Math.trunc(Number(delay));
    const call = args.length ? () => callback(...args) : () => callback();
    // Delays outside of what fits count as the shortest one, as everywhere else.
    return native.setTimer(call, delay_ms >= 1 && delay_ms < 2 ** 31 ? delay_ms : 1, repeats);
  };
  const clear = (id) => {
    if (Number.isInteger(id) && id > 0 && id < 2 ** 32) native.clearTimer(id);
  };
  define(globalThis, {
    setTimeout: timer(false), setInterval: timer(true), clearTimeout: clear, clearInterval: clear,
  });

  class TextEncoder {
    get encoding() {
      return "utf-8";
    }
    encode(text = "") {
      return native.encode(String(text).toWellFormed());
    }
  }
  class TextDecoder {
    #keepsMark;
    constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
      if (!/^\s*(utf-?8|unicode-1-1-utf-8)\s*$/i.test(label)) {
        throw new RangeError(`only utf-8 can be decoded, not ${label}`);
      }
      this.fatal = Boolean(fatal);
      this.#keepsMark = Boolean(ignoreBOM);
    }
    get encoding() {
      return "utf-8";
    }
    get ignoreBOM() {
      return this.#keepsMark;
    }
    decode(data = new Uint8Array(), { stream = false } = {}) {
      if (stream) throw new TypeError("TextDecoder does not stream here: join the pieces first");
      const text = native.decode(toBytes(data), this.fatal);
      return !this.#keepsMark && text.startsWith("\ufeff") ? text.slice(1) : text;
    }
  }

  const crypto = {
    getRandomValues(array) {
      toBytes(array).set(native.random(array.byteLength));
      return array;
    },
    randomUUID() {
      const bytes = native.random(16);
      bytes[6] = (bytes[6] & 0x0f) | 0x40;
      bytes[8] = (bytes[8] & 0x3f) | 0x80;
      return bytes.toHex().replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
    },
  };

  define(globalThis, {
    TextEncoder, TextDecoder, crypto, structuredClone: (value) => (clone ??= part("clone")(inspect))(value),
  });

  const decode = (bytes) => native.decode(bytes, false);
  const abilities = {
    stdin: frozen({
      text: () => decode(native.readAll()),
      bytes: () => native.readAll(),
      *lines() {
        for (let next; (next = native.readLine()) !== undefined; ) yield next;
      },
    }),
    stdout: frozen({ write: (data) => native.writeOut(raw(data)) }),
    stderr: frozen({ write: (data) => native.writeErr(raw(data)) }),
    files: frozen({
      readText: (path) => decode(native.readFile(String(path))),
      readBytes: (path) => native.readFile(String(path)),
      writeText: (path, text) => native.writeFile(String(path), raw(String(text))),
      writeBytes: (path, data) => native.writeFile(String(path), toBytes(data)),
      list: (path) => native.list(String(path)),
      exists: (path) => native.exists(String(path)),
      remove: (path) => native.remove(String(path)),
      makeDirectory: (path) => native.makeDirectory(String(path)),
    }),
    exit: (code = 0) => {
      if (!Number.isInteger(code) || code < 0 || code > 255) {
        throw new RangeError(`an exit code is a whole number from 0 to 255, not ${show(code)}`);
      }
      native.exit(code);
    },
  };

  return {
    describe,
    tell: (value) => part("tell")(inspect)(value),
    begin: (args, pairs) => {
      secrets = seal(pairs);
      const value = frozen({ secrets, args: Object.freeze(args), ...abilities });
      Object.defineProperty(globalThis, "belljar", { value, enumerable: true });
    },
    guard: () => part("guard")(),
    prepare: () => ["inspect", "clone"].forEach(part),
  };
};

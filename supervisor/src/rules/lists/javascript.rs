//! What JavaScript may use, and what nobody but an operator gives it.

/// Modules of mode standard: they compute on what they are given, and reach no file, process or socket.
pub(in crate::rules) const MODULES: &[&str] = &[
    "assert",            // Compares values.
    "assert/strict",     // The same.
    "async_hooks",       // Keeps values across callbacks.
    "buffer",            // Bytes.
    "crypto",            // Hashes, ciphers, and random numbers of its own process.
    "events",            // Calls the listeners of a program.
    "path",              // Splits and joins names.
    "path/posix",        // The same.
    "perf_hooks",        // Clocks.
    "punycode",          // Spells names.
    "querystring",       // Parses text.
    "readline",          // Lines of a stream that a program has already.
    "readline/promises", // The same.
    "stream",            // Passes data on.
    "stream/consumers",  // The same.
    "stream/promises",   // The same.
    "stream/web",        // The same.
    "string_decoder",    // Bytes to text.
    "timers",            // Calls functions later, never text.
    "timers/promises",   // The same.
    "url",               // Parses text.
    "util",              // Formats and compares values.
    "util/types",        // The same.
    "zlib",              // Packs bytes.
    "sys",               // The old name of util.
];

/// What of `process` both strict modes leave: the streams and the arguments of the program itself.
pub(in crate::rules) const PROCESS: &[&str] = &[
    "argv",
    "arch",
    "cwd",
    "env",
    "exit",
    "exitCode",
    "hrtime",
    "memoryUsage",
    "nextTick",
    "off",
    "on",
    "once",
    "pid",
    "platform",
    "stderr",
    "stdin",
    "stdout",
    "uptime",
    "version",
    "versions",
];

/// Names of every script that are refused, and what to use instead. An operator opens one by naming
/// it among the modules.
pub(in crate::rules) const GLOBALS: &[(&str, &str)] = &[
    ("eval", "write the code itself, or parse data with JSON.parse"),
    ("Function", "write a function expression"),
    ("AsyncFunction", "write an async function"),
    ("GeneratorFunction", "write a generator function"),
    ("WebAssembly", "compute in JavaScript"),
    ("SharedArrayBuffer", "use an ArrayBuffer"),
    ("Atomics", "use promises"),
    ("fetch", "take the data as an input file, or ask for mode full"),
    ("WebSocket", "take the data as an input file, or ask for mode full"),
    ("EventSource", "take the data as an input file, or ask for mode full"),
    ("XMLHttpRequest", "take the data as an input file, or ask for mode full"),
    ("Worker", "use promises"),
    ("BroadcastChannel", "use an EventTarget"),
    ("MessageChannel", "use an EventTarget"),
    ("navigator", "leave it out"),
    ("localStorage", "keep values in a Map"),
    ("sessionStorage", "keep values in a Map"),
    ("Deno", "use what the language has"),
    ("Bun", "use what the language has"),
    ("std", "use what the language has"),
    ("os", "use what the language has"),
    ("bjson", "use JSON"),
    ("importScripts", "write an import statement"),
    ("load", "write an import statement"),
    ("loadScript", "write an import statement"),
    ("ShadowRealm", "write a function"),
    ("gc", "leave it out"),
];

/// The global object, under each of its names.
pub(in crate::rules) const GLOBAL_OBJECTS: &[&str] =
    &["globalThis", "global", "window", "self", "frames", "top"];

/// Functions of the language: a key of theirs that nobody can read may be `constructor`.
pub(in crate::rules) const FUNCTIONS: &[&str] = &[
    "Array",
    "ArrayBuffer",
    "BigInt",
    "Boolean",
    "Date",
    "Error",
    "Map",
    "Number",
    "Object",
    "Promise",
    "Proxy",
    "RangeError",
    "Reflect",
    "RegExp",
    "Set",
    "String",
    "Symbol",
    "SyntaxError",
    "TypeError",
    "Uint8Array",
    "WeakMap",
    "WeakSet",
    "parseInt",
    "setTimeout",
];

/// What of `Reflect` leads to nothing that an expression does not lead to.
pub(in crate::rules) const REFLECT: &[&str] =
    &["apply", "defineProperty", "deleteProperty", "get", "has", "ownKeys", "set"];

/// Keys that lead from a value to what made it, or into the runtime.
pub(in crate::rules) const KEYS: &[(&str, &str)] = &[
    ("__proto__", "use Object.getPrototypeOf or Object.create"),
    ("__defineGetter__", "write a getter in the object or the class"),
    ("__defineSetter__", "write a setter in the object or the class"),
    ("__lookupGetter__", "read the property"),
    ("__lookupSetter__", "write the property"),
    ("prepareStackTrace", "print error.stack"),
    ("mainModule", "write an import statement"),
    ("binding", "use a module that is allowed"),
    ("_linkedBinding", "use a module that is allowed"),
    ("dlopen", "use a module that is allowed"),
    ("getBuiltinModule", "write an import statement"),
    ("createRequire", "write an import statement"),
    ("_load", "write an import statement"),
    ("_extensions", "write an import statement"),
    ("runInThisContext", "write the code itself"),
    ("runInNewContext", "write the code itself"),
    ("runInContext", "write the code itself"),
    ("compileFunction", "write the code itself"),
];

// Values as text for people, in the manner of console.log. `secrets` is shown by its names only.
(secrets) => {
  const DEPTH_MAX = 4;
  const ITEMS_MAX = 100;
  const LINE_MAX = 76;
  const SHORT_MAX = 16;
  // What the first lines of an error say already.
  const SAID = ["name", "message", "stack"];

  const quote = (text) =>
    `'${JSON.stringify(text).slice(1, -1).replace(/\\"/g, '"').replace(/'/g, "\\'")}'`;

  const nameOfKey = (key) =>
    typeof key === "symbol" ? `[${String(key)}]` : /^[A-Za-z_$][\w$]*$/.test(key) ? key : quote(key);

  const nameOfClass = (value) => {
    for (let object = value; object; object = Object.getPrototypeOf(object)) {
      const made = Object.getOwnPropertyDescriptor(object, "constructor")?.value;
      if (typeof made === "function" && made.name) return made.name;
    }
    return "[Object: null prototype]";
  };

  // Short items share lines.
  const joined = (items) => {
    const lines = [];
    let line = "";
    for (const item of items) {
      if (line && line.length + item.length + 2 > LINE_MAX) {
        lines.push(line);
        line = "";
      }
      line += line ? `, ${item}` : item;
    }
    return [...lines, line];
  };

  const layOut = (head, open, items, close, indent) => {
    const prefix = head && `${head} `;
    if (items.length === 0) return prefix + open + close;
    const line = `${prefix}${open} ${items.join(", ")} ${close}`;
    if (line.length + indent <= LINE_MAX && !line.includes("\n")) return line;
    const lines = open === "[" && items.every((item) => item.length <= SHORT_MAX) ? joined(items) : items;
    const margin = " ".repeat(indent + 2);
    return `${prefix}${open}\n${margin}${lines.join(`,\n${margin}`)}\n${" ".repeat(indent)}${close}`;
  };

  const capped = (values, total, show) => {
    const items = [];
    for (const value of values) {
      if (items.length === ITEMS_MAX) {
        items.push(`... ${total - ITEMS_MAX} more`);
        break;
      }
      items.push(show(value));
    }
    return items;
  };

  // Frames of this runtime's own scripts say nothing to the author of the user's.
  const stackOf = (error) =>
    String(error.stack ?? "").replace(/^(.*\(native\)\n)?.*\(belljar:.*(\n|$)/gm, "").trimEnd();

  const inspect = (value, indent = 0, path = []) => {
    switch (typeof value) {
      case "string": return quote(value);
      case "bigint": return `${value}n`;
      case "number": return Object.is(value, -0) ? "-0" : String(value);
      case "function": return inspectFunction(value);
      case "object": return value === null ? "null" : inspectObject(value, indent, path);
      default: return String(value);
    }
  };

  const inspectFunction = (value) => {
    const kind = /^class\b/.test(Function.prototype.toString.call(value)) ? "class" : "Function";
    return value.name ? `[${kind}: ${value.name}]` : `[${kind} (anonymous)]`;
  };

  const inspectObject = (value, indent, path) => {
    if (value === secrets) {
      return layOut("", "{", Object.keys(value).map((name) => `${name}: [secret]`), "}", indent);
    }
    if (path.includes(value)) return "[Circular]";
    const name = nameOfClass(value);
    if (path.length > DEPTH_MAX) return Array.isArray(value) ? "[Array]" : `[${name}]`;
    const nested = (inner) => inspect(inner, indent + 2, [...path, value]);

    const property = (key) => {
      const { get, set, value: inner } = Object.getOwnPropertyDescriptor(value, key) ?? {};
      const accessor = get ? (set ? "[Getter/Setter]" : "[Getter]") : set && "[Setter]";
      return `${nameOfKey(key)}: ${accessor ?? nested(inner)}`;
    };
    const shown = (key) => Object.getOwnPropertyDescriptor(value, key)?.enumerable;
    const named = (except = () => false) => {
      const keys = Reflect.ownKeys(value).filter((key) => shown(key) && !except(key));
      return capped(keys, keys.length, property);
    };
    const indexed = (key) => typeof key === "string" && /^\d+$/.test(key);

    if (Error.isError(value) || value instanceof DOMException) {
      const head = Error.prototype.toString.call(value);
      const stack = stackOf(value);
      const hidden = ["cause", "errors"].filter((key) => Object.hasOwn(value, key) && !shown(key));
      const items = [...named((key) => SAID.includes(key)), ...hidden.map((key) => `[${key}]: ${nested(value[key])}`)];
      const text = (stack ? `${head}\n${stack}` : head).replaceAll("\n", `\n${" ".repeat(indent)}`);
      return items.length ? layOut(text, "{", items, "}", indent) : text;
    }
    if (value instanceof Date) return isNaN(value) ? "Invalid Date" : value.toISOString();
    if (value instanceof RegExp) return String(value);
    if (Array.isArray(value)) {
      const items = capped(value, value.length, nested);
      const head = name === "Array" ? "" : `${name}(${value.length})`;
      return layOut(head, "[", [...items, ...named(indexed)], "]", indent);
    }
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
      return layOut(`${name}(${value.length})`, "[", capped(value, value.length, nested), "]", indent);
    }
    if (value instanceof Map) {
      const pair = ([key, inner]) => `${nested(key)} => ${nested(inner)}`;
      const items = capped(value, value.size, pair);
      return layOut(`${name}(${value.size})`, "{", [...items, ...named()], "}", indent);
    }
    if (value instanceof Set) {
      const items = capped(value, value.size, nested);
      return layOut(`${name}(${value.size})`, "{", [...items, ...named()], "}", indent);
    }
    const boxed = value instanceof Number || value instanceof String || value instanceof Boolean;
    if (boxed) return `[${name}: ${inspect(value.valueOf())}]`;
    return layOut(name === "Object" ? "" : name, "{", named(), "}", indent);
  };

  return inspect;
};

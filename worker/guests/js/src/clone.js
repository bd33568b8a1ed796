// structuredClone: copies of data, cycles included. What is not data is refused.
(inspect) => {
  const copyOf = (value, copies) => {
    const refuseToClone = () => {
      throw new DOMException(`${inspect(value)} could not be cloned`, "DataCloneError");
    };
    if (typeof value === "function" || typeof value === "symbol") refuseToClone();
    if (typeof value !== "object" || value === null) return value;
    if (copies.has(value)) return copies.get(value);
    const keep = (copy) => (copies.set(value, copy), copy);
    const inner = (part) => copyOf(part, copies);
    const fill = (copy) => {
      for (const key of Object.keys(value)) copy[key] = inner(value[key]);
      return copy;
    };
    if (Array.isArray(value)) return fill(keep(new Array(value.length)));
    if (value instanceof Date) return keep(new Date(value));
    if (value instanceof RegExp) return keep(new RegExp(value));
    if (value instanceof ArrayBuffer) return keep(value.slice());
    if (value instanceof DataView) {
      return keep(new DataView(inner(value.buffer), value.byteOffset, value.byteLength));
    }
    if (ArrayBuffer.isView(value)) {
      return keep(new value.constructor(inner(value.buffer), value.byteOffset, value.length));
    }
    if (value instanceof Map) {
      const copy = keep(new Map());
      for (const [key, part] of value) copy.set(inner(key), inner(part));
      return copy;
    }
    if (value instanceof Set) {
      const copy = keep(new Set());
      for (const part of value) copy.add(inner(part));
      return copy;
    }
    if (Error.isError(value)) {
      const copy = keep(new (globalThis[value.name] ?? Error)(value.message));
      copy.stack = value.stack;
      return copy;
    }
    const opaque = [Promise, WeakMap, WeakSet, WeakRef].some((kind) => value instanceof kind);
    return opaque ? refuseToClone() : fill(keep({}));
  };

  return (value) => copyOf(value, new Map());
};

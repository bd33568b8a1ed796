// Tells a value in the words of this language, and as JSON where that says all of it.
(inspect) => {
  const TEXT_MAX = 65536;
  const NODES_MAX = 65536;
  const isPlain = (value, budget) => {
    if (--budget.left < 0) return false;
    if (value === null || typeof value === "boolean" || typeof value === "string") return true;
    if (typeof value === "number") return Number.isFinite(value);
    if (typeof value !== "object") return false;
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Array.prototype && prototype !== Object.prototype && prototype !== null) return false;
    return typeof value.toJSON !== "function" && Object.values(value).every((each) => isPlain(each, budget));
  };
  return (value) => {
    if (value === undefined) return JSON.stringify({ value: null });
    let json = null;
    try {
      if (isPlain(value, { left: NODES_MAX })) json = JSON.stringify(value);
    } catch {
      // A loop, or a getter that threw.
    }
    if (json?.length > TEXT_MAX) json = null;
    const text = inspect(value).slice(0, TEXT_MAX).toWellFormed();
    return JSON.stringify({ value: { text, html: null, json } });
  };
};

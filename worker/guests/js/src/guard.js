// Makes no code of text, for a run by rules: what a name leads to is decided when it is used.
() => {
  const refuse = (name) => {
    const made = { [name]() { throw new EvalError(`${name} is refused by the rules of this run`); } };
    return made[name];
  };
  const makers = {
    Function() {},
    async AsyncFunction() {},
    *GeneratorFunction() {},
    async *AsyncGeneratorFunction() {},
  };
  const fixed = { writable: false, configurable: false };
  for (const [name, maker] of Object.entries(makers)) {
    const prototype = Object.getPrototypeOf(maker);
    const value = refuse(name);
    // A method has no prototype, and comparisons need one.
    Object.defineProperty(value, "prototype", { value: prototype });
    Object.defineProperty(prototype, "constructor", { value, ...fixed });
    if (name === "Function") Object.defineProperty(globalThis, name, { value, ...fixed });
  }
  Object.defineProperty(globalThis, "eval", { value: refuse("eval"), ...fixed });
  delete Object.prototype.__proto__;
};

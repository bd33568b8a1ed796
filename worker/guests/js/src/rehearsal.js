// Touches what most scripts use; where it runs, output goes nowhere.
const text = JSON.stringify({ a: [1, 2.5, "x", null], b: new Map([[1, new Set([2])]]).size });
const shown = [..."abc"].map((letter, index) => `${letter}${index}`).join().replace(/b/g, "");
for (const value of [1, text, shown, { shown: [true, null, /x/] }]) console.log(value, "%d", 1);
await Promise.resolve();

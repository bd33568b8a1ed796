//// classes with private fields, getters and statics
class Stack {
  #items = [];
  static of(...items) { const stack = new Stack(); for (const item of items) stack.push(item); return stack; }
  push(item) { this.#items.push(item); return this; }
  pop() { return this.#items.pop(); }
  get size() { return this.#items.length; }
  *[Symbol.iterator]() { yield* this.#items; }
}
const stack = Stack.of(1, 2, 3);
stack.pop();
console.log(stack.size, [...stack].join(','));
//// inheritance and super
class Shape { constructor(name) { this.name = name; } area() { return 0; } toString() { return `${this.name}: ${this.area()}`; } }
class Circle extends Shape { constructor(r) { super('circle'); this.r = r; } area() { return +(Math.PI * this.r ** 2).toFixed(2); } }
console.log(String(new Circle(2)), new Circle(1) instanceof Shape);
//// the name of a class, and one more of its kind
class Point { constructor(x) { this.x = x; } clone() { return new this.constructor(this.x); } }
const p = new Point(3).clone();
console.log(p.constructor.name, p.constructor === Point, p.x);
//// custom errors
class NotFound extends Error { constructor(what) { super(`no ${what}`); this.name = 'NotFound'; } }
try { throw new NotFound('book'); } catch (error) { console.log(error.name, error.message, error instanceof Error); }
//// an error class of old
class Old extends Error { constructor() { super('old'); Object.setPrototypeOf(this, new.target.prototype); } }
console.log(new Old() instanceof Old);
//// generators
function* fibonacci() { let [a, b] = [0, 1]; for (;;) { yield a; [a, b] = [b, a + b]; } }
const out = []; for (const n of fibonacci()) { if (n > 50) break; out.push(n); }
console.log(out.join(' '));
//// async and await
const wait = (ms, value) => new Promise((resolve) => setTimeout(() => resolve(value), ms));
(async () => {
  const all = await Promise.all([wait(2, 'a'), wait(1, 'b')]);
  console.log(all.join(''));
})();
//// async iteration
async function* numbers() { for (let i = 0; i < 3; i++) yield i; }
(async () => { let sum = 0; for await (const n of numbers()) sum += n; console.log(sum); })();
//// promises and their failures
Promise.reject(new Error('no')).catch((error) => error.message).finally(() => {}).then((m) => console.log(m));
//// destructuring with defaults and rest
const { a, b: { c = 5, ...rest } = {}, ...others } = { a: 1, b: { d: 2 }, e: 3 };
const [first, , third = 9, ...tail] = [1, 2];
console.log(a, c, JSON.stringify(rest), JSON.stringify(others), first, third, tail.length);
//// spread and default parameters
const add = (x = 1, ...more) => more.reduce((sum, n) => sum + n, x);
console.log(add(), add(...[1, 2, 3]), { ...{ x: 1 }, y: 2 }.y);
//// maps, sets and weak maps
const counts = new Map(); for (const ch of 'banana') counts.set(ch, (counts.get(ch) ?? 0) + 1);
const seen = new WeakMap(); const key = {}; seen.set(key, 1);
console.log([...counts].map(([k, v]) => k + v).join(), new Set([1, 1, 2]).size, seen.get(key));
//// json with revivers and spaces
const text = JSON.stringify({ when: 'now', list: [1, { deep: null }] }, null, 2);
console.log(text.length, JSON.parse(text, (k, v) => (k === 'when' ? v.toUpperCase() : v)).when);
//// regular expressions with names and flags
const found = /(?<year>\d{4})-(?<month>\d\d)/u.exec('on 2024-05-01');
console.log(found.groups.year, 'a-b_c'.replace(/[-_](\w)/g, (_, ch) => ch.toUpperCase()), /["'`(]/.test('('));
//// regular expressions beside divisions
const half = (x) => x / 2; const list = 'a/b/c'.split(/\//); let n = 8; n /= 2;
if (/b/.test(list[1])) console.log(half(n) / 2, list.length / 3);
//// templates and tags
const tag = (strings, ...values) => strings.raw.join('|') + values.join();
console.log(tag`x${1}y${`in${2}ner`}z`, `a
b`.length);
//// strings that say anything
const words = "process.exit(); require('fs'); eval('1'); __proto__; constructor.constructor('x')()";
// process.kill(1); import('node:fs'); new Function('return 1')
/* globalThis[x]; module.constructor; WebAssembly */
console.log(words.length > 10);
//// locals with the names of others
function run(process, require, module) { const global = process + require; return global + module; }
const Reflect = { answer: 42 }; const fetch = (x) => x;
console.log(run(1, 2, 3), Reflect.answer, fetch('here'));
//// keys that are computed
const table = { red: 1, green: 2 }; const pick = (name) => table[name]; const grid = [[1, 2], [3, 4]];
let total = 0; for (const y of [0, 1]) for (const x of [0, 1]) total += grid[y][x];
const handlers = { add: (x, y) => x + y, sub: (x, y) => x - y };
console.log(pick('green'), total, handlers['a' + 'dd'](1, 2), 'abc'[1], [5, 6][total % 2]);
//// prototypes of its own classes
function Animal(name) { this.name = name; }
Animal.prototype.speak = function () { return this.name + '!'; };
function Dog(name) { Animal.call(this, name); }
Dog.prototype = Object.create(Animal.prototype); Dog.prototype.constructor = Dog.prototype.speak && Dog;
console.log(new Dog('Rex').speak());
//// methods of prototypes that are borrowed
function count() { return Array.prototype.slice.call(arguments, 1).length; }
console.log(count(1, 2, 3), Object.prototype.hasOwnProperty.call({ x: 1 }, 'x'), Function.prototype.call.call(() => 7));
//// objects without a prototype
const dict = Object.create(null); dict.x = 1; const bare = { __proto__: null, y: 2 };
console.log('x' in dict, Object.getPrototypeOf(bare) === null, Object.keys(bare).join());
//// object tools
const o = Object.freeze({ a: 1, b: 2 });
console.log(Object.entries(o).map(([k, v]) => `${k}=${v}`).join('&'), Object.fromEntries([['z', 1]]).z, Object.isFrozen(o));
//// properties that are defined
const thing = {}; Object.defineProperty(thing, 'x', { get() { return 4; }, enumerable: true });
console.log(thing.x, Object.getOwnPropertyNames(thing).length, Object.getOwnPropertyDescriptor(thing, 'x').enumerable);
//// symbols
const tagged = { [Symbol.toPrimitive]: () => 3, get [Symbol.toStringTag]() { return 'T'; } };
console.log(+tagged, Object.prototype.toString.call(tagged), Symbol.for('s') === Symbol.for('s'));
//// proxies of plain objects
const upper = new Proxy({ a: 'x' }, { get: (target, name) => String(target[name]).toUpperCase(), has: () => true });
console.log(upper.a, 'q' in upper);
//// typed arrays and views
const view = new DataView(new ArrayBuffer(8)); view.setUint16(0, 258);
console.log(new Uint8Array(view.buffer).slice(0, 2).join(), Float64Array.from([1.5]).length);
//// bigints and numbers
console.log(2n ** 64n, 0.1 + 0.2 > 0.3, Number.MAX_SAFE_INTEGER, (255).toString(16), parseInt('0x1f'), Number('1_0'.replace('_', '')));
//// dates
const date = new Date(Date.UTC(2024, 1, 29, 12)); console.log(date.toISOString(), date.getUTCDay(), isNaN(new Date('x')));
//// sorting with comparators
const people = [{ n: 'B', a: 2 }, { n: 'A', a: 2 }, { n: 'C', a: 1 }];
people.sort((x, y) => x.a - y.a || x.n.localeCompare(y.n)); console.log(people.map((x) => x.n).join(''));
//// chained array methods
console.log(Array.from({ length: 10 }, (_, i) => i).filter((i) => i % 2).map((i) => i * i).reduce((s, i) => s + i, 0), [3, [4, [5]]].flat(Infinity).join());
//// labels, loops and switches
outer: for (let i = 0; ; i++) { for (let j = 0; j < 3; j++) { if (i * j > 2) break outer; if (j === 2) continue outer; } }
let i = 0; do { i++; } while (i < 3);
switch (i) { case 1: case 2: console.log('few'); break; default: console.log('many'); }
//// closures and curries
const counter = () => { let c = 0; return { up: () => ++c, get value() { return c; } }; };
const one = counter(); one.up(); one.up(); const curry = (f) => (x) => (y) => f(x, y);
console.log(one.value, curry((x, y) => x * y)(6)(7));
//// optional chaining and nullish values
const deep = { x: { y: [{ z: 1 }] } }; let none = null; none ??= 'default'; deep.q ||= 2; deep.q &&= 3;
console.log(deep?.x?.y?.[0]?.z, deep.nope?.().x, none, deep.q, none?.length);
//// tries and finallys
function f() { try { return 'try'; } finally { console.log('finally'); } }
try { null.x; } catch { console.log(f()); }
//// recursion and memos
const memo = new Map(); const fib = (n) => n < 2 ? n : memo.get(n) ?? (memo.set(n, fib(n - 1) + fib(n - 2)), memo.get(n));
const walk = (node, d = 0) => [node.v, ...(node.kids ?? []).flatMap((k) => walk(k, d + 1))];
console.log(fib(50), walk({ v: 1, kids: [{ v: 2, kids: [{ v: 3 }] }, { v: 4 }] }).join());
//// chains of conditions
const grade = (s) => s > 90 ? 'A' : s > 80 ? 'B' : s > 70 ? 'C' : 'F';
function kind(x) { if (x === 1) { return 'one'; } else if (x === 2) { return 'two'; } else { return 'more'; } }
console.log(grade(85), kind(2), kind(3));
//// statements without semicolons
const x1 = 1
let y1 = x1
  + 2
const list2 = [1, 2]
;[y1] = list2
const g = function () { return y1 }
console.log(g())
//// functions called at once
(function () { var hidden = 1; console.log(typeof hidden, typeof undefinedName, this === undefined || typeof this); }).call(5);
//// getters, setters and static blocks
class Temp { static #count = 0; static { Temp.#count = 1; } #c = 0; get f() { return this.#c * 9 / 5 + 32; } set f(v) { this.#c = (v - 32) * 5 / 9; } static count() { return Temp.#count; } }
const t = new Temp(); t.f = 212; console.log(t.f, Temp.count());
class Has { #x; static has(o) { return #x in o; } }
//// bits and commas
let bits = 0b1010; bits |= 1 << 2; bits ^= ~0 >>> 28; for (let l = 0, r = 3; l < r; l++, r--) bits += l * r;
console.log(bits, (1, 2), void 0, !!'x', -(-1), + +'3');
//// names of any alphabet
const größe = 3, переменная = 4, $ = 5, _ = 6, \u0061bc = 7; console.log(größe + переменная + $ + _ + abc);
//// formatted numbers
console.log([1, 10, 100].map((n) => String(n).padStart(5, '.')).join('\n'), (1234.5678).toFixed(2), 'x'.repeat(3));
//// timers
const timer = setInterval(() => { clearInterval(timer); console.log('tick'); }, 1); setTimeout((a) => console.log(a), 20, 'later'); queueMicrotask(() => console.log('micro'));
//// copies
const original = { d: [1, { e: 2 }] }; const copy = structuredClone(original); copy.d[1].e = 3; console.log(original.d[1].e, copy.d[1].e);
//// matrices and primes
const sieve = (n) => { const p = Array(n + 1).fill(true); for (let i = 2; i * i <= n; i++) if (p[i]) for (let j = i * i; j <= n; j += i) p[j] = false; return p.flatMap((v, i) => (i > 1 && v ? [i] : [])); };
const mul = (a, b) => a.map((r) => b[0].map((_, j) => r.reduce((s, v, k) => s + v * b[k][j], 0)));
console.log(sieve(30).join(), JSON.stringify(mul([[1, 2], [3, 4]], [[0, 1], [1, 0]])));
//// math by a name
const apply = (op, x) => Math[op](x); console.log(apply('floor', 2.7), ['log', 'error'].map((level) => typeof console[level]).join());
//// function tools
const bound = function () { return this.v; }.bind({ v: 9 }); const f2 = (...a) => a.length; console.log(bound(), f2.apply(null, [1, 2]), f2.call(null, 1), f2.length, bound instanceof Function);
//// arguments of its own
function sumAll() { let s = 0; for (let i = 0; i < arguments.length; i++) s += arguments[i]; return s; } console.log(sumAll(1, 2, 3));
//// words that are names elsewhere
const of = 1, get = 2, set = 3, async = 4, from = 5, type = 6; const obj = { class: 1, if: 2, new: 3, delete: 4, of, get, set }; console.log(obj.class + obj.if + obj.new + obj.delete + async + from + type + obj.get);
//// global names by the global object
console.log(globalThis.Math.max(1, 2), typeof globalThis, globalThis.JSON.stringify([1]));
//// what the program is given modes: restricted standard runtimes: node
process.stdout.write(`${process.argv.length > 1} ${typeof process.env.HOME}\n`); process.exitCode = 0; process.nextTick(() => console.log('next'));
//// a module of the runtime modes: standard runtimes: node
const path = require('path'); const { EventEmitter } = require('node:events'); const e = new EventEmitter(); e.on('x', (v) => console.log(path.join('a', '..', v))); e.emit('x', 'b');
//// more modules modes: standard runtimes: node
const crypto = require('crypto'), util = require('util'), zlib = require('zlib'), assert = require('assert'), qs = require('querystring');
assert.deepStrictEqual(zlib.gunzipSync(zlib.gzipSync('x')).toString(), 'x');
console.log(crypto.createHash('sha256').update('x').digest('hex').slice(0, 8), util.inspect({ a: [1] }), qs.parse('a=1').a, Buffer.from('é').length);
//// exports and a main function modes: standard restricted runtimes: node
function main() { return 'main'; } module.exports = { main }; exports.other = 1; console.log(main(), __filename.length > 0);
if (require.main === module) console.log('started');
//// imports as statements modes: standard runtimes: node
import { createHash } from 'node:crypto'; import path, { basename } from 'path'; import * as util from 'util';
const url = await import('node:url'); export const y = 1; export default function () {}
console.log(createHash('md5').update('a').digest('hex').length, basename('/a/b'), util.types.isDate(new Date()), new url.URL('http://x/y').pathname, path.sep);
//// lines of standard input modes: standard runtimes: node
const readline = require('readline'); const rl = readline.createInterface({ input: process.stdin }); let lines = 0; rl.on('line', () => lines++); rl.on('close', () => console.log(lines));
//// error classes that leave themselves out
class AppError extends Error { constructor(message, code) { super(message); if (Error.captureStackTrace) Error.captureStackTrace(this, this.constructor); this.name = this.constructor.name; this.code = code; } }
try { throw new AppError('no', 7); } catch (error) { console.log(error.name, error.code, error instanceof AppError, String(error.stack).includes('AppError')); }
//// the process as it is documented runtimes: node
const { rss } = process.memoryUsage(), before = process.hrtime(); console.log(rss > 0, process.memoryUsage.rss() > 0, process.hrtime(before).length, process.hrtime.bigint() > 0n, process.uptime() > 0);
console.log(process.argv.length, process.arch.length > 0, process.cwd(), typeof process.env.HOME, process.pid > 0, process.platform, process.version === `v${process.versions.node}`);
process.once('exit', (code) => console.log('exit', code, process.exitCode)); process.on('told', (x) => console.log(x));
process.nextTick((x) => { process.stdout.write(`${x}\n`); process.stderr.write('err\n'); process.exit(); }, 'tick'); console.log('first', process.stdin.readable, process.stdout.writable);
//// streams that are printed modes: standard runtimes: node
console.log(require('util').inspect(process.stdout, { depth: 0 }).split(' ')[0], process.stdin instanceof require('stream').Readable, process.stdout instanceof require('stream').Writable);
//// an uncaught error that is listened for runtimes: node
process.on('uncaughtException', (error) => { console.log(error.message, /guard|bootstrap/.test(error.stack)); process.exit(0); });
function fail() { throw new TypeError('late'); } fail();

//// interfaces and generics
interface Box<T> { readonly value: T; map<U>(f: (value: T) => U): Box<U> }
const box = <T,>(value: T): Box<T> => ({ value, map: (f) => box(f(value)) });
console.log(box(2).map((n: number) => n * 2).map(String).value.length);
//// enums of every kind
enum Color { Red, Green = 5, Blue } const enum Size { S = 's', L = 'l' } enum Mixed { A = 1 << 2, B = 'x'.length }
console.log(Color.Blue, Color[5], Size.L, Mixed.A, Mixed.B);
//// namespaces
namespace Geometry { export const unit = 1; export namespace Deep { export function area(r: number): number { return unit * r * r; } } }
console.log(Geometry.Deep.area(3));
//// parameter properties and modifiers
abstract class Base { constructor(protected readonly name: string, private count = 0) {} abstract greet(): string; up(): this { this.count++; return this; } get times(): number { return this.count; } }
class Hello extends Base { override greet(): string { return `hello ${this.name}`; } declare extra?: string; static make(this: void): Hello { return new Hello('x'); } }
console.log(Hello.make().up().greet(), new Hello('y').up().up().times);
//// casts, assertions and satisfies
const raw: unknown = JSON.parse('{"a":[1,2]}'); const typed = raw as { a: number[] }; const len = (<string>'abc').length; const nn = typed.a![0]!; const conf = { p: 1 } satisfies Record<string, number>;
console.log(typed.a.length, len, nn, conf.p, typed.a[0]! / 2);
//// unions and guards
type Shape = { kind: 'circle'; r: number } | { kind: 'square'; s: number };
function isCircle(s: Shape): s is Extract<Shape, { kind: 'circle' }> { return s.kind === 'circle'; }
function assertNever(x: never): never { throw new Error(String(x)); }
const area = (s: Shape): number => { switch (s.kind) { case 'circle': return s.r; case 'square': return s.s ** 2; default: return assertNever(s); } };
console.log(area({ kind: 'square', s: 3 }), isCircle({ kind: 'circle', r: 1 }));
//// conditional, mapped and template types
type Deep<T> = { [K in keyof T]?: T[K] extends object ? Deep<T[K]> : T[K] }; type Ev = `on${Capitalize<'a' | 'b'>}`; type El<T> = T extends readonly (infer U)[] ? U : never;
const d: Deep<{ a: { b: number } }> = { a: {} }; const ev: Ev = 'onA'; const el: El<number[]> = 3; console.log(JSON.stringify(d), ev, el);
//// overloads and tuples
function pick(x: string): string; function pick(x: number): number; function pick(x: any): any { return x; }
const pair: [name: string, age?: number] = ['a']; const [n, a = 3] = pair; console.log(pick(1), pick('x'), n, a);
//// async with types
async function load<T>(value: T, ms: number = 1): Promise<T> { await new Promise<void>((r) => setTimeout(r, ms)); return value; }
load<Map<string, Array<number>>>(new Map([['k', [1]]])).then((m) => console.log(m.get('k')?.length));
//// types with the names of others
declare const nothing: { process: Function }; interface Function2 { (x: eval2): void } type eval2 = typeof globalThis; let fn: Function = () => 1; type P = import('fs').Stats; console.log(typeof fn);
//// a module with types modes: standard
import type { Stats } from 'node:fs'; export type Id = string; export const id: Id = 'x'; export interface S extends Partial<Stats> {} console.log(id);
//// types of the runtime modes: standard runtimes: node
import { EventEmitter } from 'events'; import assert from 'node:assert/strict';
class Bus extends EventEmitter { emitAll<T>(name: string, ...all: T[]): number { for (const each of all) this.emit(name, each); return all.length; } }
const bus = new Bus(); let heard: number[] = []; bus.on('n', (x: number) => heard.push(x)); assert.equal(bus.emitAll('n', 1, 2), 2); console.log(heard.length);

//// require of child_process
console.log(require('child_process').execSync('id').toString());
//// require of fs
console.log(require('fs').readFileSync('/etc/shadow', 'utf8'));
//// require with the prefix
require('node:child_process').spawnSync('id');
//// require of text that is put together
require('child_' + 'process').execSync('id');
//// require of a template
require(`child_${'process'}`).execSync('id');
//// require of a name
const name = 'fs'; require(name).readFileSync('/etc/shadow');
//// require of what nobody knows
const parts = ['f', 's']; require(parts.join('')).readFileSync('/etc/shadow');
//// require by another name
const load = require; load('fs').readFileSync('/etc/shadow');
//// require in an array
[require][0]('fs').readFileSync('/etc/shadow');
//// a static import
import fs from 'fs'; fs.readFileSync('/etc/shadow');
//// a dynamic import
import('node:fs').then((fs) => fs.readFileSync('/etc/shadow'));
//// a dynamic import of what nobody knows
const m = ['fs'][0]; import(m).then((fs) => fs.readFileSync('/etc/shadow'));
//// an import of data
import 'data:text/javascript,import fs from "fs"; fs.readFileSync("/etc/shadow")';
//// an import of a file of the system
import '/etc/passwd';
//// an import by address
import 'file:///etc/passwd';
//// an export of another module
export * from 'child_process';
//// a named export of another module
export { readFileSync } from 'node:fs';
//// eval
eval("process.exit(3)");
//// eval that is not direct
(0, eval)("this").process.kill(1, 9);
//// eval by another name
const e = eval; e('1');
//// eval in another spelling
\u0065val('1');
//// eval of the global object
globalThis.eval('1');
//// eval by key
globalThis['ev' + 'al']('1');
//// Function
new Function('return process')().exit(3);
//// Function as a function
Function('return this')().process.exit(3);
//// the constructor of a function
(() => {}).constructor('return process')().exit(3);
//// the constructor of a constructor
''.constructor.constructor('return process')().exit(3);
//// the constructor by key
[]['constructor']['constructor']('return process')().exit(3);
//// the constructor by a key that is put together
const k = 'constr' + 'uctor'; ({})[k][k]('return process')().exit(3);
//// the constructor by a template
const q = `constru${'ctor'}`; [].map[q]('return 1')();
//// the constructor of an async function
Object.getPrototypeOf(async () => {}).constructor('return 1')();
//// the constructor of a generator
(function* () {}).constructor('yield 1')().next();
//// the constructor that is taken apart
const { constructor: C } = () => {}; C('return process')().exit(3);
//// the constructor that is assigned
let D; ({ constructor: D } = () => {}); D('return 1')();
//// the constructor by a tag
(() => {}).constructor`return process`().exit(3);
//// the constructor by call
(() => {}).constructor.call(null, 'return process')().exit(3);
//// the constructor by reflection
Reflect.get(() => {}, 'constructor')('return process')().exit(3);
//// Reflect.construct
Reflect.construct(Object.getPrototypeOf(() => {}).constructor, ['return 1']);
//// a descriptor of the constructor
Object.getOwnPropertyDescriptor(Object.getPrototypeOf(() => {}), 'constructor').value('return 1')();
//// a class of functions
class F extends Function { constructor() { super('return process'); } } new F()().exit(3);
//// process
process.kill(process.ppid, 9);
//// process.binding
process.binding('fs').open('/etc/shadow');
//// process.mainModule
process.mainModule.require('fs').readFileSync('/etc/shadow');
//// process by key
process['bin' + 'ding']('fs');
//// process by a key that nobody knows
process[['binding'][0]]('fs');
//// process of the global object
globalThis.process.dlopen({ exports: {} }, '/work/x.node');
//// process by a pattern
const { binding } = process; binding('fs');
//// process by another name
const pr = process; pr.kill(1, 9);
//// process of a generic object
global[Object.getOwnPropertyNames(global).find((n) => n.startsWith('proc'))].kill(1, 9);
//// the global object as a value
const everything = globalThis; everything.process.exit(3);
//// the loader by the module
module.constructor._load('fs').readFileSync('/etc/shadow');
//// the loader by another way
module.parent?.require('fs'); module.children[0]; module.require('fs').readFileSync('/etc/shadow');
//// the cache of the loader
require.cache[__filename].require('fs').readFileSync('/etc/shadow');
//// a prototype of the language
Object.prototype.polluted = 1; Array.prototype.map = () => 'mine'; if ({}.polluted) process.exit(3);
//// a prototype by a key
Array['prototype'].push = 1;
//// a prototype by assign
Object.assign(Object.prototype, { toString: () => 'x' });
//// a prototype by definition
Object.defineProperty(Array.prototype, 'length2', { get() { return 1; } });
//// __proto__
({}).__proto__.polluted = 1;
//// __proto__ by key
const o = {}; o['__pro' + 'to__'].polluted = 1;
//// __proto__ in a literal
const evil = { __proto__: Function.prototype }; evil.call;
//// setPrototypeOf
Object.setPrototypeOf(Array.prototype, null);
//// getters of old
({}).__defineGetter__('x', () => 1); ({}).__lookupGetter__('__proto__');
//// a timer with text
setTimeout('process.exit(3)', 0);
//// with
with (Math) { max(1, 2); }
//// WebAssembly
new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
//// shared memory
new SharedArrayBuffer(8); Atomics;
//// stack traces
Error.prepareStackTrace = (_, frames) => frames[0].getThis(); new Error().stack;
//// the caller of a function
(function () { return arguments.callee.caller; })();
//// a script of vm
require('vm').runInThisContext('process.exit(3)');
//// a thread
new (require('worker_threads').Worker)('process.exit(3)', { eval: true });
//// the inspector
require('inspector').open();
//// the module of modules
require('module').createRequire('/')('fs').readFileSync('/etc/shadow');
//// a connection
fetch('http://169.254.169.254/').then((r) => r.text()).catch(() => {});
//// a socket
require('net').connect(80, '169.254.169.254').on('error', () => {});
//// names of the system
require('os').userInfo();
//// a comment that is none
<!-- `
require('fs').readFileSync('/etc/shadow');
//`
//// a package of the host
require('/usr/share/nodejs/npm/index.js');
//// native code
require('./x.node');
//// the arguments of a file
const a = arguments; a[2].filename = '/usr/x.js'; a[1]('fs').readFileSync('/etc/shadow');
//// the arguments of a file in an arrow function
[() => arguments[1]][0]()('child_process').execSync('id');
//// what calls a function of its own
function g() { return g.caller.arguments[1]; } g()('fs').readFileSync('/etc/shadow');

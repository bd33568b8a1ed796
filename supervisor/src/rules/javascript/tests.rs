use std::time::Instant;

use crate::rules::hostile::work_of;
use crate::rules::{Language, Mode, Rules, check};

fn rules(mode: Mode, modules: &[&str]) -> Rules {
    Rules { mode, modules: modules.iter().map(|name| (*name).to_owned()).collect() }
}

fn ids(source: &str, mode: Mode) -> Vec<(u32, u32, &'static str)> {
    let found = check(Language::JavaScript, source, &rules(mode, &[]));
    found.iter().map(|it| (it.line, it.column, it.rule)).collect()
}

#[test]
fn findings_say_where() {
    let source = "const ä = 1;\n  import('node:fs');\nä.constructor.constructor('x');";
    let expected = [
        (2, 3, "javascript/import"),
        (3, 3, "javascript/prototype"),
        (3, 15, "javascript/prototype"),
    ];
    assert_eq!(ids(source, Mode::Standard), expected);
}

#[test]
fn names_are_those_of_the_runtime() {
    assert_eq!(ids("const process = 1; console.log(process)", Mode::Restricted), []);
    assert_eq!(ids("function f(eval_, require) { return require(eval_) }", Mode::Restricted), []);
    assert_eq!(ids("f(ev\\u0061l)", Mode::Standard), [(1, 3, "javascript/code")]);
    assert_eq!(ids("{ let process = 1 } process.kill(1)", Mode::Standard).len(), 1);
}

#[test]
fn the_arguments_of_a_file_are_refused_and_those_of_functions_are_not() {
    for source in [
        "arguments[1]('fs')",
        "const all = arguments",
        "(() => arguments)()",
        "class A { [arguments[0]]() {} }",
        "for (const each of arguments) each",
        "function f() { return f.caller } f().arguments",
    ] {
        let found = ids(source, Mode::Standard);
        assert_eq!(found.len(), 1, "{source}: {found:?}");
    }
    for source in [
        "function f() { return arguments.length } f(1)",
        "const f = function (a = arguments.length) { return () => arguments[0] }",
        "class A { m() { return Array.from(arguments) } get x() { return arguments.length } }",
        "({ m() { return [].slice.call(arguments) } })",
        "if (typeof arguments === 'object') {}",
        "const call = { caller: 'me' }; call.caller; for (const each of [call]) each.caller",
        "const arguments_ = 1; arguments_",
    ] {
        assert_eq!(ids(source, Mode::Standard), [], "{source}");
    }
}

#[test]
fn error_classes_leave_themselves_out_of_their_stacks() {
    let class = "class E extends Error { constructor(m) { super(m); \
        Error.captureStackTrace(this, this.constructor); this.name = this.constructor.name } }";
    assert_eq!(ids(class, Mode::Restricted), []);
    let of_old = "function E() { Error.captureStackTrace?.(this, this.constructor) }";
    assert_eq!(ids(of_old, Mode::Restricted), []);
    for source in [
        "Error.captureStackTrace(this.constructor, this)",
        "Error.other(this, this.constructor)",
        "own.captureStackTrace(this, this.constructor)",
        "const Error = {}; Error.captureStackTrace(this, this.constructor)",
        "Error.captureStackTrace(this, f.constructor)",
        "Error.captureStackTrace(this, this.constructor('x'))",
    ] {
        assert_eq!(ids(source, Mode::Restricted).len(), 1, "{source}");
    }
}

#[test]
fn types_hide_nothing() {
    let all = [
        "declare const process: any; process.kill(1)",
        "declare function require(x: string): any; require('fs')",
        "namespace process { export type A = 1 } process.kill(1)",
        "interface eval {} eval('1')",
        "(process as any).kill(1)",
        "(<any>process).kill(1)",
        "process!.kill(1)",
        "import fs = require('fs'); fs.readFileSync('x')",
    ];
    for source in all {
        let found = check(Language::TypeScript, source, &rules(Mode::Standard, &[]));
        assert!(!found.is_empty(), "{source}");
    }
    let plain = "import type { A } from 'fs'; let f: Function; let p: typeof process;";
    assert_eq!(check(Language::TypeScript, plain, &rules(Mode::Restricted, &[])), []);
}

#[test]
fn operators_add_modules_and_names() {
    let added = rules(Mode::Standard, &["fs", "fetch", "lodash"]);
    let source = "import fs from 'node:fs'; import 'fs/promises'; import 'lodash/fp'; fetch('x')";
    assert_eq!(check(Language::JavaScript, source, &added), []);
    let found = check(Language::JavaScript, source, &rules(Mode::Standard, &[]));
    assert_eq!(found.len(), 4);
}

#[test]
fn nobody_is_told_of_modules_that_a_runtime_has_not() {
    let found = |source| {
        let found = super::check(Language::JavaScript, source, &rules(Mode::Standard, &[]), false);
        found.into_iter().map(|it| (it.message, it.advice)).collect::<Vec<_>>()
    };
    let files = "there are files of the run, by import and ./name";
    for source in ["import path from 'node:path'", "import fs from 'fs'", "require('fs')"] {
        let found = found(source);
        assert_eq!(found.len(), 1, "{source}");
        assert!(found.iter().all(|(_, advice)| advice == files), "{source}: {found:?}");
    }
    assert_eq!(found("import { x } from './x.js'; export * from './y'"), []);
    assert_eq!(found("const p = typeof require === 'function' && require('path')"), []);
    let of_node = check(Language::JavaScript, "import 'fs'", &rules(Mode::Standard, &[]));
    assert!(of_node.iter().all(|it| it.advice.contains("path")), "{of_node:?}");
}

/// Every way to nest that needs no more than its repetition.
const HOSTILE: [(&str, &str, &str); 44] = [
    ("(", "1", ")"),
    ("[", "", "]"),
    ("x={a:", "1", "}"),
    ("{", "", "}"),
    ("`${", "1", "}`"),
    ("!", "x", ""),
    ("- ", "x", ""),
    ("typeof ", "x", ""),
    ("await ", "x", ""),
    ("new ", "x", ""),
    ("x=", "1", ""),
    ("x**", "1", ""),
    ("x+", "1", ""),
    ("x&&", "1", ""),
    ("x??", "1", ""),
    ("x=>", "1", ""),
    ("async x=>", "1", ""),
    ("x?y:", "1", ""),
    ("x?", "1", ":1"),
    ("x.", "y", ""),
    ("x", "", "()"),
    ("x", "", "[0]"),
    ("x", "", "``"),
    ("x", "", "?.y"),
    ("if(x)", ";", ""),
    ("if(x);else ", ";", ""),
    ("if(x){}else ", ";", ""),
    ("if(x)do x;while(y);else ", ";", ""),
    ("if(x)a,b;else ", ";", ""),
    ("for(;;)", ";", ""),
    ("while(x)", ";", ""),
    ("with(x)", ";", ""),
    ("do ", ";", " while(x)"),
    ("a:", ";", ""),
    ("class A extends ", "B{}", ""),
    ("(class extends ", "B{}", ")"),
    ("function f(){", "", "}"),
    ("(a=(", "1", "))=>1"),
    ("x=function(){return ", "1", "}"),
    ("...", "x", ""),
    ("try{", "", "}catch{}"),
    ("switch(x){case 1:", "", "}"),
    ("x\n", "y", "\n++"),
    ("import(", "1", ")"),
];

const HOSTILE_TYPES: [(&str, &str, &str); 12] = [
    ("let x:A<", "B", ">"),
    ("A<B,", "C", ">"),
    ("type T=A<B,", "C", ">"),
    ("type T=keyof ", "C", ""),
    ("type T=A extends B?C:", "D", ""),
    ("type T=(a:", "D", ")=>1"),
    ("type T=A", "", "[]"),
    ("namespace a.", "b{}", ""),
    ("<T>", "x", ""),
    ("x as ", "y", ""),
    ("x", "", "!"),
    ("x", "", " as A"),
];

#[test]
fn what_nests_too_deep_is_refused_in_no_time() {
    let full = HOSTILE.iter().map(|shape| (shape, Language::JavaScript));
    let types = HOSTILE.iter().chain(&HOSTILE_TYPES).map(|shape| (shape, Language::TypeScript));
    for ((open, middle, close), language) in full.chain(types) {
        for count in [30, 100, 125, 300, 480, 900, 5000, (1 << 20) / (open.len() + close.len())] {
            let source = open.repeat(count) + middle + &close.repeat(count);
            let start = Instant::now();
            let found = check(language, &source, &rules(Mode::Restricted, &[]));
            let spent = start.elapsed();
            // An unoptimised build takes many times what a released one does, and a busy machine
            // takes its time.
            assert!(spent.as_secs() < 10, "{open} {count}: {spent:?}");
            if count >= 5000 && language == Language::JavaScript {
                assert!(!found.is_empty(), "{open} {count}");
            }
        }
    }
}

#[test]
fn what_hides_brackets_is_refused() {
    let deep = "(".repeat(3000) + "1" + &")".repeat(3000);
    let hidden = [
        format!("}} /\"/; {deep} //\""),
        format!("x = {{}} /'/ {deep} /'/"),
        format!("<!-- `\n{deep}\n`"),
        format!("\n--> `\n{deep}\n`"),
        format!("// `\u{2028}{deep}\n//`"),
        format!("return\u{a0}/`/+{deep}+/`/"),
        format!("r\\u0065turn /`/+{deep}+/`/"),
        format!("if (x) /`/.y+{deep}+/`/"),
        format!("yield /`/+{deep}+/`/"),
        format!("x\n++/`/.y+{deep}+/`/"),
        format!("'\\\n' + {deep}"),
        format!("/[/`]/+{deep}+/`/"),
        format!("`${{`${{1}}`}}`+{deep}"),
    ];
    for source in hidden {
        for language in [Language::JavaScript, Language::TypeScript] {
            let found = check(language, &source, &rules(Mode::Standard, &[]));
            let rule = found.first().map(|it| it.rule);
            let head: String = source.chars().take(20).collect();
            assert!(
                matches!(rule, Some("javascript/bounds" | "javascript/syntax")),
                "{head}: {rule:?}"
            );
        }
    }
}

#[test]
fn long_programs_that_do_not_nest_pass() {
    let lines = [
        "const a = b + 1\n",
        "f(x)\n",
        "if (a) { b() } else { c() }\n",
        "class A { m() { return 1 }\n n() {} }\n",
        "x = y ? 1 : 2\n",
        "  .then((x) => x)\n",
        "while (a) { break }\n",
        "do { x } while (a);\n",
        "for (const x of y) z(x)\n",
        "const s = `a ${b} c`\n",
        "const r = a.replace(/[\"'`]/g, (m) => m) / 2\n",
        "if (/\"/.test(x)) y()\n",
        "switch (x) { case 1: case 2: break\n default: y() }\n",
        "export const f = async (x) => { await x }\n",
        "x++\n",
        "a /= 2; b = c / d / e\n",
        "(function () {})();\n",
        "i = (a + b) / 2 + \"px\" + (c) / 2\n",
    ];
    for line in lines {
        let count = if line.starts_with("  .") { 250 } else { 3000 };
        let source = format!("p\n{}", line.repeat(count));
        let found = check(Language::JavaScript, &source, &rules(Mode::Standard, &[]));
        let wrong = found.iter().find(|it| it.rule == "javascript/bounds");
        assert!(wrong.is_none(), "{line}: {wrong:?}");
    }
}

#[test]
fn a_thousand_lines_cost_little_more_than_their_length() {
    let time = |lines: usize| {
        let source = "const { a, b: [c] } = f(x => x.map((y) => y + 1), `t ${z}`);\n".repeat(lines);
        let rules = rules(Mode::Standard, &[]);
        work_of(|| assert_eq!(check(Language::JavaScript, &source, &rules).len(), 0))
    };
    time(1000);
    let (short, long) = (time(1000), time(8000));
    assert!(long < short * 40, "{short:?}, {long:?}");
}

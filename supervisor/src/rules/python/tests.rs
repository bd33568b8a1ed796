use super::*;
use crate::Mode;
use crate::rules::lists::python as lists;

fn rules(mode: Mode) -> Rules {
    Rules { mode, ..Rules::default() }
}

fn found(source: &str, mode: Mode) -> Vec<(u32, u32, &'static str)> {
    let found = check(source, &rules(mode));
    found.iter().map(|it| (it.line, it.column, it.rule)).collect()
}

fn standard(source: &str) -> Vec<&'static str> {
    check(source, &rules(Mode::Standard)).iter().map(|it| it.rule).collect()
}

#[test]
fn findings_say_where_and_which_rule() {
    let source = "x = 1\nimport os, json\nprint(eval('1'), x.__globals__)\n";
    let wanted = [(2, 8, "python/import"), (3, 7, "python/code"), (3, 20, "python/reflection")];
    assert_eq!(found(source, Mode::Standard), wanted);
}

#[test]
fn names_of_ones_own_are_no_builtins() {
    for source in [
        "def eval(x): return x\nprint(eval(1))",
        "import re\nprint(re.compile('a').match('a'))",
        "def f(compile): return compile(1)",
        "class C:\n  def exec(self): return 1\nprint(C().exec())",
        "print([globals for globals in range(3)])",
        "def f():\n  locals = 1\n  return locals",
        "class C:\n  eval = 1\n  y = eval",
    ] {
        assert_eq!(standard(source), <[&str; 0]>::default(), "{source}");
    }
}

#[test]
fn builtins_show_through_names_that_may_not_be_bound() {
    for source in [
        "if 0: eval = 1\neval('1')",
        "eval('1')\neval = 1",
        "eval = 1\ndel eval\neval('1')",
        "try: pass\nexcept E as eval: pass\neval('1')",
        "class C:\n  eval = 1\n  def f(self): return eval('1')",
        "e = eval",
        "@eval\ndef f(): pass",
        "def f(x=exec): pass",
        "def f():\n  global eval\n  eval = 1\n  return eval('1')",
        "ｅval('1')",
        "match x:\n  case eval(): pass",
        "f'{eval(1)}'",
    ] {
        assert!(standard(source).contains(&"python/code"), "{source}");
    }
}

#[test]
fn modules_do_not_lead_to_others() {
    for source in [
        "import json\njson.codecs",
        "import random as r\nr._os.system('x')",
        "from random import _os",
        "import typing\nt = typing\nt.sys",
        "from json import codecs",
        "import enum\nenum.bltns",
        "import urllib.parse\nurllib.request",
        "from urllib import request",
        "import asyncio\nasyncio.create_subprocess_shell('id')",
        "import asyncio.subprocess",
        "import xml",
        "from os import *",
    ] {
        let found = standard(source);
        let is_refused = found.iter().any(|rule| {
            ["python/import", "python/module-attribute", "python/process"].contains(rule)
        });
        assert!(is_refused || source == "import xml", "{source}: {found:?}");
    }
    for source in [
        "import collections.abc, datetime\nprint(datetime.time(1), collections.abc.Mapping)",
        "from collections import abc\nabc.Mapping",
        "from xml.etree import ElementTree as ET\nET.fromstring('<a/>')",
        "import urllib.parse as p\np.quote('x')",
        "import urllib.parse\nurllib.parse.quote('x')",
        "from __future__ import annotations",
        "from math import *\nprint(pi)",
    ] {
        assert_eq!(standard(source), <[&str; 0]>::default(), "{source}");
    }
}

#[test]
fn restricted_imports_nothing_and_computes_no_names() {
    assert_eq!(found("import math", Mode::Restricted), [(1, 8, "python/import")]);
    assert_eq!(found("open('x')", Mode::Restricted), [(1, 1, "python/builtin")]);
    assert_eq!(found("getattr(x, y)", Mode::Restricted), [(1, 12, "python/dynamic-attribute")]);
    assert_eq!(found("getattr(x, 'y')", Mode::Restricted), []);
    assert_eq!(found("import belljar\nprint(belljar.secrets['A'])", Mode::Restricted), []);
}

#[test]
fn attributes_are_found_however_they_are_read() {
    for (source, rule) in [
        ("x.__subclasses__()", "python/reflection"),
        ("x.__unheard_of__", "python/reflection"),
        ("getattr(x, '__globals__')", "python/reflection"),
        ("g = getattr\ng(x, '__globals__')", "python/reflection"),
        ("'{0.__globals__}'.format(x)", "python/format"),
        ("t = '{a.__class__.__mro__}'\nt.format(a=1)", "python/format"),
        ("'{0[}].__globals__}'.format(x)", "python/format"),
        ("match x:\n  case object(__dict__=d): pass", "python/reflection"),
        ("class C:\n  __match_args__ = ('__dict__',)", "python/match"),
        ("E._convert_('X', 'os', f)", "python/reflection"),
        ("import enum\nenum.global_enum(E)", "python/module-attribute"),
        ("from dataclasses import FunctionType", "python/module-attribute"),
        ("match x:\n  case object(__globals__=g): pass", "python/reflection"),
        ("class C:\n  __match_args__ = ('__globals__',)", "python/match"),
        ("class C:\n  __match_args__ = names()", "python/match"),
        ("from operator import attrgetter as a\na('x.__code__')", "python/reflection"),
        ("vars(x)['__subclasses__']", "python/reflection"),
        ("(y for y in x).gi_frame", "python/reflection"),
        ("type('C', (), {})", "python/dynamic-class"),
        ("def f(x: '().__class__.__base__'): pass", "python/code"),
        ("__builtins__", "python/reflection"),
        ("__import__('os')", "python/reflection"),
        ("__builtins__ = {}", "python/reflection"),
    ] {
        assert!(standard(source).contains(&rule), "{source}: {:?}", standard(source));
    }
}

#[test]
fn text_between_the_fields_of_a_format_is_any() {
    let source = "t = 'Dear {user.name}, __mro__ in text {user.x}'\nt.format(user=u)";
    assert_eq!(standard(source), <[&str; 0]>::default());
}

#[test]
fn advice_fits_what_was_asked_for() {
    for (source, wanted) in [
        ("help(int)", "__doc__"),
        ("globals()", "variables"),
        ("breakpoint()", "print"),
        ("import weakref", "dict"),
        ("import signal", "time.monotonic()"),
        ("import inspect", "isinstance()"),
        ("import threading", "asyncio"),
    ] {
        let found = check(source, &rules(Mode::Standard));
        assert!(found.first().is_some_and(|it| it.advice.contains(wanted)), "{source}: {found:?}");
    }
}

#[test]
fn declared_encodings_are_refused_but_for_those_of_the_text() {
    for source in [
        "# -*- coding: utf-7 -*-",
        "#!/usr/bin/python\n# vim: set fileencoding=latin-1 :",
        "\u{feff}# coding=rot13",
        "#\r# coding: utf-7\n",
        "\u{c}# coding: cp1252",
    ] {
        assert_eq!(standard(source), ["python/encoding"], "{source:?}");
    }
    for source in
        ["# coding: utf-8", "# coding: US-ASCII", "x = 1\n# coding: latin-1", "#\n#\n# coding: x"]
    {
        assert_eq!(standard(source), <[&str; 0]>::default(), "{source:?}");
    }
    assert_eq!(standard("x = '\0'"), ["python/encoding"]);
}

#[test]
fn syntax_is_that_of_the_newest_interpreter() {
    assert_eq!(found("x = 1\ny = = 2", Mode::Standard).first(), Some(&(2, 5, "python/syntax")));
    for source in [
        "type X[T] = list[T]",
        "def f[T](x: T) -> T: return x",
        "f'{'a'}'",
        "try: pass\nexcept* E: pass",
    ] {
        assert_eq!(standard(source), <[&str; 0]>::default(), "{source:?}");
    }
}

#[test]
fn hostile_nesting_is_refused_before_it_is_parsed() {
    let many = |text: &str| text.repeat((1 << 20) / text.len());
    let mut blocks = String::new();
    for level in 0..1400 {
        blocks.push_str(&" ".repeat(level));
        blocks.push_str("if 1:\n");
    }
    for source in [
        many("("),
        many("["),
        many("{"),
        many("f'{"),
        many("1+"),
        many("a."),
        many("not "),
        many("-"),
        many("lambda:"),
        many("lambda a,b:"),
        many("1if 1else "),
        many("a("),
        many("()("),
        many("await "),
        many("**"),
        blocks,
        many("(a,"),
        many("x:=("),
        many("[x for x in "),
    ] {
        let found = standard(&source);
        let wanted = ["python/nesting", "python/syntax"];
        assert!(found.first().is_some_and(|rule| wanted.contains(rule)), "{source:.20}: {found:?}");
    }
}

#[test]
fn errors_in_long_sources_overflow_no_stack() {
    let many = |text: &str| text.repeat((1 << 17) / text.len());
    for source in [
        many("if 1:a;"),
        many("else:a\n"),
        many("@a\n"),
        many("class a:b;"),
        many("elif 1:\n"),
        many("try:a;"),
        many("with a:b;"),
        many("for a in b:c;"),
        many("while a:b;"),
        many("def f():a;"),
        many("match a:\n case b:c;"),
        many("a = "),
        many("a if "),
        many("yield "),
        many("return "),
        many("\\\n"),
        many("a\n b\n"),
        many("'a' "),
        many("a, "),
        many("a < "),
        many("or a "),
        many(":"),
        many("=="),
        many("import a,"),
        many("from . import a;"),
        many("del "),
        many("*"),
        many("case "),
    ] {
        drop(standard(&source));
    }
}

#[test]
fn the_document_has_the_lists() {
    let document = include_str!("../../../../docs/rules.md");
    assert!(document.lines().next().is_some_and(|line| line.contains("advice, not a boundary")));
    for list in [&lists::ALWAYS, &lists::MODULES, &lists::REFLECTION] {
        let words: Vec<_> = list.iter().map(|word| format!("`{word}`")).collect();
        let document = document.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(document.contains(&words.join(" ")), "{words:?}");
    }
}

#[test]
fn no_name_is_both_ordinary_and_refused() {
    assert_eq!(lists::ORDINARY.iter().find(|name| lists::REFLECTION.has(name)), None);
    let denied = [&lists::CODE_BUILTINS, &lists::REFLECTION_BUILTINS, &lists::STANDARD_BUILTINS];
    for list in denied {
        assert_eq!(list.iter().find(|name| lists::BUILTINS.has(name)), None);
    }
    for group in &lists::GROUPS {
        assert_eq!(group.modules.iter().find(|name| lists::MODULES.has(name)), None);
    }
}

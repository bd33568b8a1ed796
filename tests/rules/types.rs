//! TypeScript runs where JavaScript does.

use belljar::{Error, Mode, Source, SourceFile};
use belljar_tests::{Test, expect, sandbox, stderr, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        typescript_files_import_each_other_on_node(Node),
        typescript_files_import_each_other_on_quickjs(),
        an_error_is_on_the_line_where_it_was_written(Node),
        typescript_that_is_none_is_refused_with_its_place(Node),
        typescript_is_held_to_the_rules(Node),
    ]
}

fn files(all: &[(&str, &str)]) -> Vec<SourceFile> {
    let file = |(path, text): &(&str, &str)| SourceFile {
        path: (*path).to_owned(),
        bytes: text.as_bytes().to_vec(),
    };
    all.iter().map(file).collect()
}

const MODULES: [(&str, &str); 5] = [
    (
        "main.ts",
        "import { twice, type Twice } from './lib/twice';\nimport { Color } from './lib/color.js';\n\
         import words from './lib/index.ts';\nimport { side } from './plain.mjs';\n\
         const f: Twice = twice;\nconsole.log(f(4), Color[Color.Green], words.length, side);\n",
    ),
    (
        "lib/twice.ts",
        "export type Twice = (x: number) => number;\nexport const twice: Twice = (x) => 2 * x;\n",
    ),
    ("lib/color.ts", "export enum Color { Red, Green }\n"),
    (
        "lib/index.ts",
        "import { Color } from './color';\nexport default ['a', Color.Red] as const;\n",
    ),
    ("plain.mjs", "export const side = 'js';\n"),
];

async fn typescript_files_import_each_other_on_node() {
    let sandbox = sandbox("node").build().expect("a sandbox");
    for mode in [Mode::Full, Mode::Standard] {
        let source = Source::files(files(&MODULES), "main.ts").mode(mode);
        let outcome = sandbox.run(source).await.expect("an outcome");
        expect(&outcome, "ok");
        assert_eq!(stdout(&outcome), "8 Green 2 js\n");
    }
}

async fn typescript_files_import_each_other_on_quickjs() {
    let sandbox = sandbox("js").build().expect("a sandbox");
    let outcome = sandbox.run(Source::files(files(&MODULES), "main.ts")).await.expect("an outcome");
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), "8 Green 2 js\n");
}

async fn an_error_is_on_the_line_where_it_was_written() {
    let text = "interface A {\n  x: number;\n}\n\nfunction f(a: A): never {\n  throw new Error(`no ${a.x}`);\n}\n\nf({ x: 1 });\n";
    let sandbox = sandbox("node").build().expect("a sandbox");
    let outcome =
        sandbox.run(Source::files(files(&[("main.ts", text)]), "main.ts")).await.expect("one");
    expect(&outcome, "nonzero_exit");
    let said = stderr(&outcome);
    assert!(said.contains("main.js:6:") && said.contains("main.js:9:"), "{said}");
}

async fn typescript_that_is_none_is_refused_with_its_place() {
    let sandbox = sandbox("node").build().expect("a sandbox");
    for (path, text, reason) in [
        ("main.ts", "let x: number = ;", "main.ts: line 1, column 17: "),
        ("main.ts", "class A {\n @log f() {} }", "main.ts: line 2, column 2: "),
        ("main.tsx", "let x = <p/>;", "main.tsx: there is no JSX here"),
    ] {
        let refused = sandbox.run(Source::files(files(&[(path, text)]), path)).await;
        let Err(Error::Invalid(said)) = refused else { panic!("{refused:?}") };
        assert!(said.starts_with(reason), "{said}");
    }
}

async fn typescript_is_held_to_the_rules() {
    let sandbox = sandbox("node").build().expect("a sandbox");
    let text =
        "import fs from 'fs';\nconst x: string = fs.readFileSync('x', 'utf8');\nconsole.log(x);\n";
    let source = Source::files(files(&[("main.ts", text)]), "main.ts").mode(Mode::Standard);
    let Err(Error::Refused { findings, .. }) = sandbox.run(source).await else {
        panic!("it was not refused")
    };
    let first = findings.first().expect("a finding");
    assert_eq!((first.file.as_str(), first.line, first.rule), ("main.ts", 1, "javascript/import"));
}

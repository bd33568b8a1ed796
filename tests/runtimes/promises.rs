//! What every language promises.

use std::future::Future;

use belljar::{Outcome, Source, SourceFile};
use belljar_tests::{Test, expect, run, sandbox, stderr, stdout};

use crate::languages::{LETTERS, Language};

/// The promises of one language.
pub(crate) fn of(language: &'static Language) -> Vec<Test> {
    vec![
        promise(language, "a_snippet_runs", a_snippet_runs),
        promise(language, "a_file_runs_under_its_own_name", a_file_runs),
        promise(language, "several_files_find_each_other", several_files_find_each_other),
        promise(language, "standard_input_arrives", standard_input_arrives),
        promise(language, "arguments_arrive_as_they_are", arguments_arrive),
        promise(language, "the_exit_code_is_its_own", the_exit_code_is_its_own),
        promise(language, "letters_of_every_script_come_out", letters_come_out),
        promise(language, "every_byte_comes_out", every_byte_comes_out),
        promise(language, "a_secret_is_there_to_be_read", a_secret_is_there),
        promise(language, "an_error_names_file_and_line", an_error_names_file_and_line),
        promise(language, "its_interpreter_is_told", its_interpreter_is_told),
    ]
}

fn promise<F: Future<Output = ()> + 'static>(
    language: &'static Language,
    sentence: &str,
    body: fn(&'static Language) -> F,
) -> Test {
    let name = format!("runtimes::{}::{sentence}", language.runtime);
    Test::new(&name, language.needs, move || body(language))
}

async fn good(language: &Language, source: impl Into<Source>) -> Outcome {
    let outcome = run(language.runtime, source).await;
    expect(&outcome, "ok");
    assert_eq!(stderr(&outcome), "");
    assert!(outcome.denials.is_empty(), "{:?}", outcome.denials);
    outcome
}

async fn a_snippet_runs(language: &'static Language) {
    assert_eq!(stdout(&good(language, language.snippet).await), "42\n");
}

fn file((path, text): (&str, &str)) -> SourceFile {
    SourceFile { path: path.to_owned(), bytes: text.as_bytes().to_vec() }
}

async fn a_file_runs(language: &'static Language) {
    let extension = language.entry.rsplit('.').next().unwrap();
    let path = format!("deep/er/a name.{extension}");
    let source = Source::files(vec![file((&path, language.snippet))], &path);
    assert_eq!(stdout(&good(language, source).await), "42\n");
}

async fn several_files_find_each_other(language: &'static Language) {
    let source = Source::files(vec![file(language.library), file(language.user)], language.user.0);
    assert_eq!(stdout(&good(language, source).await), "42\n");
}

async fn standard_input_arrives(language: &'static Language) {
    let text = "one\ntwo ü\nthree";
    let source = Source::code(language.copies).stdin(text);
    assert_eq!(stdout(&good(language, source).await), text);
    assert_eq!(stdout(&good(language, language.copies).await), "");
}

async fn arguments_arrive(language: &'static Language) {
    let source = Source::code(language.arguments).arg("-x").arg("a b").arg("").arg("ü$(id)*");
    assert_eq!(stdout(&good(language, source).await), "-x|a b||ü$(id)*\n");
}

async fn the_exit_code_is_its_own(language: &'static Language) {
    let outcome = run(language.runtime, language.exits).await;
    assert_eq!(outcome.verdict.exit_code(), Some(3), "{}", stderr(&outcome));
}

async fn letters_come_out(language: &'static Language) {
    assert_eq!(stdout(&good(language, language.letters).await).trim_end(), LETTERS);
}

async fn every_byte_comes_out(language: &'static Language) {
    let every: Vec<u8> = (0..=255).collect();
    assert_eq!(good(language, language.bytes).await.stdout.bytes, every);
}

async fn a_secret_is_there(language: &'static Language) {
    let source = Source::code(language.secret).secret("API_KEY", "hunter2-secret").unwrap();
    assert_eq!(stdout(&good(language, source).await), "terces-2retnuh\n");
}

async fn an_error_names_file_and_line(language: &'static Language) {
    let (code, says) = language.fails;
    let outcome = run(language.runtime, code).await;
    expect(&outcome, "nonzero_exit");
    let said = stderr(&outcome) + &stdout(&outcome);
    assert!(said.contains(says), "{says:?} is not in {said}");
}

async fn its_interpreter_is_told(language: &'static Language) {
    let sandbox = sandbox(language.runtime).build().unwrap();
    assert_eq!(sandbox.runtime(), language.runtime);
    assert!(sandbox.interpreter().program().is_absolute());
}

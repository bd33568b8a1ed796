//! The rules of Python.

mod attributes;
mod calls;
mod format;
mod guard;
mod imports;
mod nesting;
mod scope;
mod source;
mod walk;

use std::ops::Range;

use ruff_python_ast::PythonVersion;
use ruff_python_parser::{Mode as Grammar, ParseOptions, parse_unchecked};
use ruff_text_size::{Ranged, TextRange};

use super::findings::Findings;
use super::{Finding, Rules, bounds};

pub(super) use guard::{guard, own_module};

pub(super) fn check(source: &str, rules: &Rules) -> Vec<Finding> {
    if let Some(finding) = bounds::size(source, "python/size").or_else(|| source::check(source)) {
        return vec![finding];
    }
    let levels = match nesting::levels(source) {
        Ok(levels) => levels,
        Err(finding) => return vec![*finding],
    };
    bounds::on_a_stack(levels, || parsed(source, rules)).unwrap_or_else(|| {
        let message = "there is no memory to check this source";
        vec![bounds::single(source, 0..0, "python/nesting", message, "nest it less, or try again")]
    })
}

fn parsed(source: &str, rules: &Rules) -> Vec<Finding> {
    let mut findings = Findings::new(source);
    // Whatever an interpreter may know: what it does not, it says itself.
    let options = ParseOptions::from(Grammar::Module).with_target_version(PythonVersion::latest());
    let parsed = parse_unchecked(source, options);
    for error in parsed.errors().iter().take(100) {
        let message = format!("this is no Python: {}", error.error);
        findings.add(bytes(error.location), "python/syntax", message, "correct the syntax");
    }
    let tree = parsed.into_syntax();
    if let (true, Some(module)) = (findings.is_empty(), tree.as_module()) {
        walk::walk(&module.body, rules, &mut findings);
    }
    findings.finish()
}

fn bytes(range: TextRange) -> Range<usize> {
    range.start().into()..range.end().into()
}

fn place(node: &impl Ranged) -> Range<usize> {
    bytes(node.range())
}

#[cfg(test)]
mod tests;

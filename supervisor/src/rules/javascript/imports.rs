//! What a source loads.

use oxc_ast::ast::{Expression, StringLiteral};
use oxc_span::Span;

use super::Look;
use super::members::constant;
use crate::Mode;
use crate::rules::lists::javascript as lists;

const RULE: &str = "javascript/import";
const FILES: &str = "there are files of the run, by import and ./name";

/// An import whose source cannot be anything but text.
pub(super) fn named(look: &mut Look<'_, '_>, source: &StringLiteral<'_>) {
    let name = source.value.as_str();
    let is_missing = !look.has_library && look.rules.mode == Mode::Standard;
    if is_missing && lists::MODULES.contains(&plain(name)) && !look.is_added(plain(name)) {
        let message = format!("{name} is a module of Node");
        return look.add(source.span, RULE, message, FILES);
    }
    module(look, source.span, name);
}

/// One whose source is whatever an expression gives.
pub(super) fn expression<'a>(look: &mut Look<'_, 'a>, at: Span, source: Option<&Expression<'a>>) {
    match source.and_then(|source| constant(look, source)) {
        Some(name) => module(look, at, &name),
        None => look.add(
            at,
            RULE,
            "what is loaded here is known only when it runs",
            "write the name of the module as a string",
        ),
    }
}

fn module(look: &mut Look<'_, '_>, at: Span, specifier: &str) {
    let name = plain(specifier);
    if look.rules.mode == Mode::Restricted {
        let message = format!("mode restricted has no imports: {name}");
        return look.add(at, RULE, message, "use what the language has, or ask for mode standard");
    }
    if is_own(specifier) || lists::MODULES.contains(&name) {
        return;
    }
    let above = name.match_indices('/').filter_map(|(end, _)| name.get(..end));
    if std::iter::once(name).chain(above).any(|name| look.is_added(name)) {
        return;
    }
    let listed = format!("there are {}, and files of the run by ./name", lists::MODULES.join(", "));
    let advice = if look.has_library { &listed } else { FILES };
    look.add(at, RULE, format!("{name} is not among the modules of mode standard"), advice);
}

fn plain(specifier: &str) -> &str {
    specifier.strip_prefix("node:").unwrap_or(specifier)
}

/// Whether it is a file of the run: no native code, and nothing outside of where they lie.
fn is_own(specifier: &str) -> bool {
    let is_relative = ["./", "../"].iter().any(|start| specifier.starts_with(start));
    let last = specifier.rsplit('/').next().unwrap_or_default();
    let extension = last.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_source = ["", "js", "mjs", "cjs", "ts", "mts", "cts", "json"].contains(&extension);
    is_relative && is_source && !specifier.contains(['%', '\\', '?', '#'])
}

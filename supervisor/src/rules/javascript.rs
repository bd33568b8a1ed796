//! The rules of JavaScript and TypeScript. TypeScript is looked at as the JavaScript that will run:
//! what its types declare, and no run has, hides nothing.

mod bounds;
mod calls;
mod globals;
mod imports;
mod members;
#[cfg(test)]
mod tests;
mod words;

use std::cell::RefCell;
use std::collections::HashMap;

use oxc_allocator::Allocator;
use oxc_ast::AstKind;
use oxc_ast::ast::{Expression, IdentifierReference, Program};
use oxc_parser::{ParseOptions, Parser};
use oxc_semantic::{NodeId, Semantic, SemanticBuilder, SymbolId};
use oxc_span::{GetSpan, SourceType, Span};

use super::bounds::{on_a_stack, single, size};
use super::findings::Findings;
use super::lists::javascript as lists;
use super::{Finding, Language, Mode, Rules, typescript};

/// `has_library` says whether there are the modules of the list.
pub(super) fn check(
    language: Language,
    source: &str,
    rules: &Rules,
    has_library: bool,
) -> Vec<Finding> {
    let is_typescript = language == Language::TypeScript;
    match safely(source, is_typescript, || look(source, is_typescript, rules, has_library)) {
        Ok(findings) => findings,
        Err(finding) => vec![*finding],
    }
}

/// What the guard inside a jar is told: the same lists.
pub(super) fn guard(rules: &Rules) -> String {
    let listed = lists::MODULES.iter().copied().filter(|_| rules.mode == Mode::Standard);
    let added = rules.modules.iter().map(String::as_str).filter(|_| rules.mode == Mode::Standard);
    let globals = lists::GLOBALS.iter().map(|(name, _)| *name);
    // Functions are replaced and not taken away; what shares memory is what sessions use.
    let kept = ["eval", "Function", "SharedArrayBuffer", "Atomics"];
    let globals = globals.filter(|name| !kept.contains(name) && !rules.modules.contains(*name));
    serde_json::json!({
        "mode": rules.mode.name(),
        "modules": listed.chain(added).collect::<Vec<_>>(),
        "globals": globals.collect::<Vec<_>>(),
        "process": (!rules.modules.contains("process")).then_some(lists::PROCESS),
    })
    .to_string()
}

/// Does what recurses as deep as `source` nests, if it can be done.
pub(super) fn safely<T: Send>(
    source: &str,
    is_typescript: bool,
    work: impl FnOnce() -> T + Send,
) -> Result<T, Box<Finding>> {
    if let Some(too_large) = size(source, "javascript/bounds") {
        return Err(Box::new(too_large));
    }
    let levels = bounds::check(source, is_typescript).map_err(|bound| {
        let end =
            source.get(bound.at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        let at = bound.at..bound.at + end;
        Box::new(single(source, at, "javascript/bounds", bound.message, bound.advice))
    })?;
    on_a_stack(levels, work).ok_or_else(|| {
        let message = "the source cannot be looked at";
        Box::new(single(
            source,
            0..0,
            "javascript/bounds",
            message,
            "try again, or make it smaller",
        ))
    })
}

/// The tree of a source.
///
/// # Errors
/// Where it is not of the language.
pub(super) fn parse<'a>(
    allocator: &'a Allocator,
    source: &'a str,
    is_typescript: bool,
) -> Result<Program<'a>, Vec<Finding>> {
    let kind = if is_typescript { SourceType::ts() } else { SourceType::mjs() };
    let kind = kind.with_unambiguous(true);
    let options = ParseOptions {
        preserve_parens: false,
        allow_return_outside_function: true,
        ..ParseOptions::default()
    };
    let parsed = Parser::new(allocator, source, kind).with_options(options).parse();
    if parsed.diagnostics.is_empty() {
        return Ok(parsed.program);
    }
    let mut findings = Findings::new(source);
    for wrong in parsed.diagnostics.iter().take(5) {
        let label = wrong.labels.iter().next();
        let at = label
            .map_or(0..0, |label| label.offset() as usize..(label.offset() + label.len()) as usize);
        let message = format!("this is not valid: {}", wrong.message);
        findings.add(at, "javascript/syntax", message, "correct it");
    }
    Err(findings.finish())
}

fn look(source: &str, is_typescript: bool, rules: &Rules, has_library: bool) -> Vec<Finding> {
    let allocator = Allocator::default();
    let parsed = parse(&allocator, source, is_typescript).and_then(|mut program| {
        if is_typescript {
            typescript::erase(&allocator, source, &mut program)?;
        }
        Ok(program)
    });
    let program = match parsed {
        Ok(program) => program,
        Err(findings) => return findings,
    };
    let semantic = SemanticBuilder::new().with_build_nodes(true).build(&program).semantic;
    let findings = Findings::new(source);
    let mut look =
        Look { semantic: &semantic, rules, has_library, findings, mutated: RefCell::default() };
    for node in semantic.nodes().iter() {
        if look.findings.is_full() {
            break;
        }
        look.node(node.id(), node.kind());
    }
    look.findings.finish()
}

/// A source that is looked at, node by node: nothing of it recurses.
struct Look<'look, 'a> {
    semantic: &'look Semantic<'a>,
    rules: &'look Rules,
    has_library: bool,
    findings: Findings<'look>,
    /// Whether a name is given more than one value: to know it, all that refer to it are asked.
    mutated: RefCell<HashMap<SymbolId, bool>>,
}

impl<'a> Look<'_, 'a> {
    fn node(&mut self, id: NodeId, kind: AstKind<'a>) {
        match kind {
            AstKind::IdentifierReference(name) => globals::check(self, id, name),
            AstKind::StaticMemberExpression(_)
            | AstKind::ComputedMemberExpression(_)
            | AstKind::BindingProperty(_)
            | AstKind::AssignmentTargetPropertyProperty(_)
            | AstKind::AssignmentTargetPropertyIdentifier(_)
            | AstKind::ObjectProperty(_) => members::check(self, id, kind),
            AstKind::ImportDeclaration(it) => imports::named(self, &it.source),
            AstKind::ExportFromDeclaration(it) => imports::named(self, &it.source),
            AstKind::ExportAllDeclaration(it) => imports::named(self, &it.source),
            AstKind::ImportExpression(it) => imports::expression(self, it.span, Some(&it.source)),
            AstKind::CallExpression(it) => calls::check(self, it),
            AstKind::WithStatement(it) => self.add(
                it.span,
                "javascript/with",
                "`with` makes a name mean what an object says",
                "read the properties of the object",
            ),
            _ => {}
        }
    }

    fn add(&mut self, span: Span, rule: &'static str, message: impl Into<String>, advice: &str) {
        self.findings.add(span.start as usize..span.end as usize, rule, message, advice);
    }

    /// Whether a name is one of the runtime's, and not of the source.
    fn is_global(&self, name: &IdentifierReference<'a>) -> bool {
        let scoping = self.semantic.scoping();
        name.reference_id.get().is_none_or(|id| scoping.get_reference(id).symbol_id().is_none())
    }

    /// Whether a name of the source is given another value.
    fn is_mutated(&self, symbol: SymbolId) -> bool {
        let mut known = self.mutated.borrow_mut();
        *known.entry(symbol).or_insert_with(|| self.semantic.scoping().symbol_is_mutated(symbol))
    }

    /// The runtime's name that an expression is.
    fn global_name(&self, expression: &Expression<'a>) -> Option<&'a str> {
        let Expression::Identifier(name) = expression.get_inner_expression() else { return None };
        self.is_global(name).then_some(name.name.as_str())
    }

    /// What a node is part of, and its id.
    fn parent(&self, id: NodeId) -> (NodeId, AstKind<'a>) {
        let nodes = self.semantic.nodes();
        let mut parent = nodes.parent_id(id);
        while matches!(nodes.kind(parent), AstKind::ChainExpression(_)) {
            parent = nodes.parent_id(parent);
        }
        (parent, nodes.kind(parent))
    }

    /// Whether an operator opened it.
    fn is_added(&self, name: &str) -> bool {
        self.rules.modules.contains(name)
    }
}

/// Whether the node at `span` is the object of a member expression.
fn is_object(span: Span, object: &Expression<'_>) -> bool {
    object.get_inner_expression().span() == span || object.span() == span
}

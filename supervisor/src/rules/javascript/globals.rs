//! Names of the runtime.

use oxc_ast::AstKind;
use oxc_ast::ast::IdentifierReference;
use oxc_semantic::NodeId;
use oxc_span::GetSpan;

use super::{Look, is_object};
use crate::rules::lists::javascript as lists;

pub(super) fn check<'a>(look: &mut Look<'_, 'a>, id: NodeId, name: &IdentifierReference<'a>) {
    if !look.is_global(name) {
        return;
    }
    let word = name.name.as_str();
    if lists::GLOBAL_OBJECTS.contains(&word) {
        return global_object(look, id, name);
    }
    match word {
        "process" => process(look, id, name),
        "require" => require(look, id, name),
        "module" => module(look, id, name),
        "arguments" => arguments(look, id, name),
        "Reflect" => reflect(look, id, name),
        "Function" if is_harmless_function(look, id, name) => {}
        _ => named(look, name.span, word),
    }
}

/// A name of the global object, spelt alone or as its property.
pub(super) fn named(look: &mut Look<'_, '_>, span: oxc_span::Span, word: &str) {
    let Some((_, advice)) = lists::GLOBALS.iter().find(|(known, _)| *known == word) else { return };
    if look.is_added(word) {
        return;
    }
    let (rule, message) = match word {
        "eval" | "Function" | "AsyncFunction" | "GeneratorFunction" | "importScripts" | "load"
        | "loadScript" | "ShadowRealm" => ("javascript/code", format!("{word} makes code of text")),
        _ => ("javascript/global", format!("{word} is not part of this mode")),
    };
    look.add(span, rule, message, advice);
}

/// The property that is read of a name, where its name can be read.
fn property<'a>(
    look: &Look<'_, 'a>,
    id: NodeId,
    name: &IdentifierReference<'a>,
) -> Option<&'a str> {
    match look.parent(id).1 {
        AstKind::StaticMemberExpression(member) if is_object(name.span, &member.object) => {
            Some(member.property.name.as_str())
        }
        AstKind::ComputedMemberExpression(member) if is_object(name.span, &member.object) => {
            member.static_property_name().map(|name| name.as_str())
        }
        _ => None,
    }
}

fn global_object<'a>(look: &mut Look<'_, 'a>, id: NodeId, name: &IdentifierReference<'a>) {
    let kind = look.parent(id).1;
    if is_typeof(kind) {
        return;
    }
    match property(look, id, name) {
        Some("process" | "require" | "module" | "Reflect" | "globalThis" | "global" | "self")
        | None => {}
        Some(word) => return named(look, kind.span(), word),
    }
    look.add(
        name.span,
        "javascript/global",
        format!("{} holds every name there is", name.name),
        "use the name itself",
    );
}

fn process<'a>(look: &mut Look<'_, 'a>, id: NodeId, name: &IdentifierReference<'a>) {
    let kind = look.parent(id).1;
    let is_plain = property(look, id, name).is_some_and(|key| lists::PROCESS.contains(&key));
    if is_plain || is_typeof(kind) || look.is_added("process") {
        return;
    }
    let known = lists::PROCESS.join(", ");
    let message = "process is the runtime itself";
    look.add(name.span, "javascript/process", message, &format!("of process there are {known}"));
}

fn require<'a>(look: &mut Look<'_, 'a>, id: NodeId, name: &IdentifierReference<'a>) {
    match look.parent(id).1 {
        // What it is called with is looked at where it is called.
        AstKind::CallExpression(call) if is_object(name.span, &call.callee) => {}
        kind if is_typeof(kind) => {}
        AstKind::StaticMemberExpression(member)
            if is_object(name.span, &member.object) && member.property.name == "main" => {}
        _ => look.add(
            name.span,
            "javascript/import",
            "require loads any module",
            "call it with the name of one module",
        ),
    }
}

fn module<'a>(look: &mut Look<'_, 'a>, id: NodeId, name: &IdentifierReference<'a>) {
    let kind = look.parent(id).1;
    let is_plain = matches!(property(look, id, name), Some("exports" | "id" | "filename"));
    // `require.main === module` asks whether a script was started.
    let is_compared = matches!(kind, AstKind::BinaryExpression(_));
    if !is_plain && !is_compared && !is_typeof(kind) {
        let message = "module leads to the loader";
        look.add(name.span, "javascript/process", message, "use module.exports alone");
    }
}

/// Outside of every function these are what the loader hands to a file.
fn arguments<'a>(look: &mut Look<'_, 'a>, id: NodeId, name: &IdentifierReference<'a>) {
    let is_function = |kind| matches!(kind, AstKind::Function(_));
    if look.semantic.nodes().ancestor_kinds(id).any(is_function) || is_typeof(look.parent(id).1) {
        return;
    }
    let message = "the arguments of a file lead to the loader";
    let advice = "use process.argv, or the parameters of a function";
    look.add(name.span, "javascript/process", message, advice);
}

fn reflect<'a>(look: &mut Look<'_, 'a>, id: NodeId, name: &IdentifierReference<'a>) {
    if !property(look, id, name).is_some_and(|key| lists::REFLECT.contains(&key)) {
        let message = "this way Reflect leads to what makes code";
        let advice = format!("of Reflect there are {}", lists::REFLECT.join(", "));
        look.add(name.span, "javascript/prototype", message, &advice);
    }
}

/// `Function.prototype.call` and its like, and what compares.
fn is_harmless_function<'a>(
    look: &Look<'_, 'a>,
    id: NodeId,
    name: &IdentifierReference<'a>,
) -> bool {
    let (parent, kind) = look.parent(id);
    match kind {
        AstKind::BinaryExpression(it) => {
            it.operator.is_equality()
                || it.right.span() == name.span && it.operator.is_instance_of()
        }
        AstKind::StaticMemberExpression(member) if member.property.name == "prototype" => {
            matches!(look.parent(parent).1, AstKind::StaticMemberExpression(outer)
                if matches!(outer.property.name.as_str(), "call" | "apply" | "bind" | "toString"))
        }
        _ => false,
    }
}

fn is_typeof(kind: AstKind<'_>) -> bool {
    matches!(kind, AstKind::UnaryExpression(it) if it.operator.is_typeof())
}

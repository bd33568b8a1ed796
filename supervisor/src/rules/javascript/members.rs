//! Properties: by a name that is written, or by one that is computed.

use oxc_ast::AstKind;
use oxc_ast::ast::{Expression, PropertyKey};
use oxc_semantic::NodeId;
use oxc_span::{GetSpan, Span};

use super::{Look, is_object};
use crate::rules::lists::javascript as lists;

/// Steps that are followed to the text of an expression.
const STEPS: u32 = 16;
/// Longer than any name on a list. Of a longer text as much is kept as tells that it is longer.
const TEXT_BYTES: usize = 256;
const RULE: &str = "javascript/prototype";

pub(super) fn check<'a>(look: &mut Look<'_, 'a>, id: NodeId, kind: AstKind<'a>) {
    match kind {
        AstKind::StaticMemberExpression(member) => {
            let span = member.property.span;
            read(look, id, &member.object, member.property.name.as_str(), span);
        }
        AstKind::ComputedMemberExpression(member) => match constant(look, &member.expression) {
            Some(key) => read(look, id, &member.object, &key, member.expression.span()),
            None => computed(look, &member.object, member.span),
        },
        AstKind::BindingProperty(property) => taken(look, &property.key, property.span),
        AstKind::AssignmentTargetPropertyProperty(property) => {
            taken(look, &property.name, property.span);
        }
        AstKind::AssignmentTargetPropertyIdentifier(property) => {
            refuse_key(look, property.binding.name.as_str(), property.span);
        }
        AstKind::ObjectProperty(property) => {
            let is_null = matches!(property.value, Expression::NullLiteral(_));
            if !is_null && key(look, &property.key).is_some_and(|key| key == "__proto__") {
                refuse_key(look, "__proto__", property.key.span());
            }
        }
        _ => {}
    }
}

/// Whether it leads from a value to what made it, or into the runtime.
pub(super) fn is_key(key: &str) -> bool {
    lists::KEYS.iter().any(|(known, _)| *known == key)
}

/// The text of an expression that is always the same.
pub(super) fn constant<'a>(look: &Look<'_, 'a>, expression: &Expression<'a>) -> Option<String> {
    folded(look, expression).filter(|text| text.len() <= TEXT_BYTES)
}

/// Whether an expression is always the same text, however long.
pub(super) fn is_constant<'a>(look: &Look<'_, 'a>, expression: &Expression<'a>) -> bool {
    folded(look, expression).is_some()
}

fn folded<'a>(look: &Look<'_, 'a>, expression: &Expression<'a>) -> Option<String> {
    let mut steps = STEPS;
    fold(look, expression, &mut steps)
}

fn extend(text: &mut String, more: &str) {
    let room = (TEXT_BYTES + 1).saturating_sub(text.len());
    text.push_str(more.get(..more.ceil_char_boundary(room)).unwrap_or_default());
}

fn fold<'a>(look: &Look<'_, 'a>, expression: &Expression<'a>, steps: &mut u32) -> Option<String> {
    *steps = steps.checked_sub(1)?;
    match expression.get_inner_expression() {
        Expression::StringLiteral(literal) => {
            let mut text = String::new();
            extend(&mut text, literal.value.as_str());
            Some(text)
        }
        Expression::TemplateLiteral(template) => {
            let mut text = String::new();
            let mut holes = template.expressions.iter();
            for part in &template.quasis {
                extend(&mut text, part.value.cooked.as_ref()?.as_str());
                if let Some(hole) = holes.next() {
                    extend(&mut text, &fold(look, hole, steps)?);
                }
            }
            Some(text)
        }
        Expression::BinaryExpression(sum) if sum.operator.as_str() == "+" => {
            let mut text = fold(look, &sum.left, steps)?;
            extend(&mut text, &fold(look, &sum.right, steps)?);
            Some(text)
        }
        Expression::Identifier(name) => {
            let scoping = look.semantic.scoping();
            let symbol = scoping.get_reference(name.reference_id.get()?).symbol_id()?;
            if look.is_mutated(symbol) {
                return None;
            }
            match look.semantic.nodes().kind(scoping.symbol_declaration(symbol)) {
                AstKind::VariableDeclarator(it) if it.id.is_binding_identifier() => {
                    fold(look, it.init.as_ref()?, steps)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn key<'a>(look: &Look<'_, 'a>, key: &PropertyKey<'a>) -> Option<String> {
    match key {
        PropertyKey::StaticIdentifier(name) => Some(name.name.to_string()),
        PropertyKey::PrivateIdentifier(_) => None,
        _ => key.as_expression().and_then(|expression| constant(look, expression)),
    }
}

/// What a pattern takes out of a value.
fn taken<'a>(look: &mut Look<'_, 'a>, taken: &PropertyKey<'a>, at: Span) {
    if let Some(key) = key(look, taken) {
        refuse_key(look, &key, at);
        if key == "constructor" {
            constructor(look, at);
        }
    }
}

fn read<'a>(look: &mut Look<'_, 'a>, id: NodeId, object: &Expression<'a>, key: &str, at: Span) {
    let of = look.global_name(object);
    match key {
        "constructor" if !is_harmless_constructor(look, id, object) => constructor(look, at),
        "callee" | "caller" if of == Some("arguments") || is_function(look, object) => {
            let message = "this leads to the functions that call";
            look.add(at, RULE, message, "give the function a name");
        }
        "prototype" if of.is_some() && !is_harmless_prototype(look, id) => look.add(
            at,
            RULE,
            "this changes what every value of its kind is made of",
            "write a function, or a class of your own",
        ),
        "on" | "once" | "off" | "exit" => {}
        _ => refuse_key(look, key, at),
    }
}

/// Whether it is a function of the source, by its name.
fn is_function<'a>(look: &Look<'_, 'a>, object: &Expression<'a>) -> bool {
    let scoping = look.semantic.scoping();
    let Expression::Identifier(name) = object.get_inner_expression() else { return false };
    let symbol = name.reference_id.get().and_then(|id| scoping.get_reference(id).symbol_id());
    symbol.is_some_and(|symbol| scoping.symbol_flags(symbol).is_function())
}

fn refuse_key(look: &mut Look<'_, '_>, key: &str, at: Span) {
    if let Some((_, advice)) = lists::KEYS.iter().find(|(known, _)| *known == key) {
        let rule = if key.starts_with("__") { RULE } else { "javascript/process" };
        look.add(at, rule, format!("{key} leads into the runtime"), advice);
    }
}

fn constructor(look: &mut Look<'_, '_>, at: Span) {
    let message = "the constructor of a function makes code of text";
    look.add(at, RULE, message, "use the class by its name");
}

/// Where a constructor is compared, read, or used by a class for one more of its kind.
fn is_harmless_constructor<'a>(look: &Look<'_, 'a>, id: NodeId, object: &Expression<'a>) -> bool {
    let this = look.semantic.nodes().kind(id).span();
    match look.parent(id).1 {
        AstKind::BinaryExpression(it) => it.operator.is_equality() || it.operator.is_instance_of(),
        AstKind::UnaryExpression(it) => it.operator.is_typeof(),
        // Written, and not read.
        AstKind::AssignmentExpression(it) => {
            it.operator.is_assign() && it.left.span() == this && it.right.span() != this
        }
        AstKind::StaticMemberExpression(outer) => {
            let next = outer.property.name.as_str();
            is_object(this, &outer.object)
                && !["constructor", "prototype", "call", "apply", "bind", "__proto__"]
                    .contains(&next)
        }
        AstKind::NewExpression(new) => {
            let is_class = |kind| matches!(kind, AstKind::Class(_));
            matches!(object, Expression::ThisExpression(_))
                && is_object(this, &new.callee)
                && look.semantic.nodes().ancestor_kinds(id).any(is_class)
        }
        // What an error class leaves out of its stacks.
        AstKind::CallExpression(call) => {
            let Expression::StaticMemberExpression(callee) = call.callee.get_inner_expression()
            else {
                return false;
            };
            let at = call.arguments.iter().position(|argument| argument.span() == this);
            matches!(object, Expression::ThisExpression(_))
                && at == Some(1)
                && look.global_name(&callee.object) == Some("Error")
                && callee.property.name == "captureStackTrace"
        }
        _ => false,
    }
}

/// Where the prototype of the language's own is read, and neither changed nor handed on.
fn is_harmless_prototype(look: &Look<'_, '_>, id: NodeId) -> bool {
    let this = look.semantic.nodes().kind(id).span();
    let (parent, kind) = look.parent(id);
    match kind {
        AstKind::BinaryExpression(it) => it.operator.is_equality(),
        AstKind::StaticMemberExpression(outer) if is_object(this, &outer.object) => {
            !matches!(
                look.parent(parent).1,
                AstKind::AssignmentExpression(it) if it.left.span() == outer.span
            ) && !matches!(
                look.parent(parent).1,
                AstKind::UpdateExpression(_) | AstKind::AssignmentTargetWithDefault(_)
            ) && !matches!(
                look.parent(parent).1,
                AstKind::UnaryExpression(it) if it.operator.is_delete()
            )
        }
        AstKind::CallExpression(call) => matches!(
            call.callee.get_inner_expression(),
            Expression::StaticMemberExpression(callee)
                if look.global_name(&callee.object) == Some("Object")
                    && ["create", "getOwnPropertyNames", "keys"]
                        .contains(&callee.property.name.as_str())
        ),
        _ => false,
    }
}

/// A key that nobody can read, of what is a function for certain.
fn computed<'a>(look: &mut Look<'_, 'a>, object: &Expression<'a>, at: Span) {
    let object = object.get_inner_expression();
    let is_function = match object {
        Expression::FunctionExpression(_)
        | Expression::ArrowFunctionExpression(_)
        | Expression::ClassExpression(_)
        | Expression::RegExpLiteral(_)
        | Expression::BooleanLiteral(_) => true,
        Expression::StringLiteral(text) => text.value.is_empty(),
        Expression::ArrayExpression(array) => array.elements.is_empty(),
        Expression::ObjectExpression(object) => object.properties.is_empty(),
        _ => look.global_name(object).is_some_and(|name| lists::FUNCTIONS.contains(&name)),
    };
    // What the runtime's own objects hold is looked at where they are named.
    if is_function {
        look.add(
            at,
            RULE,
            "which property this is, is known only when it runs",
            "write its name after a dot",
        );
    }
}

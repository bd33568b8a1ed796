//! Calls that load, make code of text, or change what everything is made of.

use oxc_ast::ast::{Argument, CallExpression, Expression};

use super::members::{constant, is_constant, is_key};
use super::{Look, imports};

pub(super) fn check<'a>(look: &mut Look<'_, 'a>, call: &CallExpression<'a>) {
    let first = call.arguments.first().and_then(Argument::as_expression);
    match look.global_name(&call.callee) {
        Some("require") => imports::expression(look, call.span, first),
        Some("setTimeout" | "setInterval" | "setImmediate")
            if first.is_some_and(|first| is_text(look, first)) =>
        {
            look.add(
                call.span,
                "javascript/code",
                "a timer that is given text runs it as code",
                "give it a function",
            );
        }
        _ => {}
    }
    let Expression::StaticMemberExpression(member) = call.callee.get_inner_expression() else {
        return;
    };
    let method = member.property.name.as_str();
    match look.global_name(&member.object) {
        // What an error class of old does to itself.
        Some("Object")
            if method == "setPrototypeOf"
                && !matches!(first, Some(Expression::ThisExpression(_))) =>
        {
            look.add(
                call.span,
                "javascript/prototype",
                "this changes what an object is made of",
                "use class, extends or Object.create",
            );
        }
        Some("Object" | "Reflect") => key_arguments(look, call),
        _ => {}
    }
}

/// Keys that are refused after a dot are refused as the argument of what reads and writes by key.
fn key_arguments<'a>(look: &mut Look<'_, 'a>, call: &CallExpression<'a>) {
    for argument in call.arguments.iter().skip(1).filter_map(Argument::as_expression) {
        if let Some(key) =
            constant(look, argument).filter(|key| key == "constructor" || is_key(key))
        {
            look.add(
                call.span,
                "javascript/prototype",
                format!("{key} leads to what makes code"),
                "use the class by its name",
            );
        }
    }
}

fn is_text<'a>(look: &Look<'_, 'a>, expression: &Expression<'a>) -> bool {
    matches!(expression, Expression::TemplateLiteral(_)) || is_constant(look, expression)
}

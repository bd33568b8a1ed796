//! Attributes: those that lead from any object into the interpreter.

use std::ops::Range;

use ruff_python_ast::{Expr, ExprAttribute, ExprContext, ExprName, ExprSubscript};

use super::walk::Walker;
use super::{bytes, place};
use crate::rules::lists::python as lists;

const RULE: &str = "python/reflection";
const ADVICE: &str =
    "use type(x).__name__, isinstance(), and methods and attributes of your own classes";

impl<'a> Walker<'a, '_, '_> {
    pub(super) fn attribute(&mut self, attribute: &'a ExprAttribute) {
        let name = attribute.attr.as_str();
        let at = bytes(attribute.attr.range);
        if name == "__getattribute__" && self.is_own_lookup(&attribute.value) {
            return;
        }
        let is_set = attribute.ctx != ExprContext::Load;
        if is_set && ["__class__", "__match_args__"].contains(&name) {
            let message = format!("{name} of an object that exists already is never changed");
            let advice = "make a new object, or set it in the class body";
            return self.report(at, RULE, message, advice);
        }
        if lists::PROCESS_METHODS.has(name) {
            let message = format!("{name} starts a process");
            let advice = "do it in Python itself: there is nothing else to run";
            return self.report(at, "python/process", message, advice);
        }
        if !self.attribute_name(name, at.clone())
            && let Some(module) = self.imported(&attribute.value)
        {
            self.module_attribute(&module, name, at);
        }
    }

    /// Looks at the name of an attribute, however it is read; returns whether it breaks a rule.
    pub(super) fn attribute_name(&mut self, name: &str, at: Range<usize>) -> bool {
        let is_refused = is_reflection(name);
        if is_refused {
            self.reflected(name, at);
        }
        is_refused
    }

    pub(super) fn reflected(&mut self, name: &str, at: Range<usize>) {
        self.report(at, RULE, format!("{name} leads into the interpreter"), ADVICE);
    }

    /// A key that is an attribute's name, as in the namespace of a class.
    pub(super) fn subscript(&mut self, subscript: &ExprSubscript) {
        if let Expr::StringLiteral(key) = &*subscript.slice {
            let name = key.value.to_str();
            let sets = subscript.ctx != ExprContext::Load && name == "__match_args__";
            if sets || lists::REFLECTION.has(name) {
                self.reflected(name, place(key));
            }
        }
    }

    /// A string in an annotation is code that may be evaluated later.
    pub(super) fn annotation(&mut self, annotation: &Expr) {
        let Expr::StringLiteral(text) = annotation else { return };
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let words = text.value.to_str().split(|c: char| !is_word(c));
        let code = |word: &&str| {
            is_reflection(word) || lists::CODE_BUILTINS.has(word) || *word == "__import__"
        };
        if let Some(word) = words.into_iter().find(code) {
            let message = format!("an annotation holds {word}, which would run when it is read");
            self.report(place(text), "python/code", message, "annotate with types alone");
        }
    }

    /// The name of an attribute that a class pattern reads: there is no call that could look at it.
    pub(super) fn pattern_name(&mut self, name: &str, at: Range<usize>) {
        if name == "__dict__" {
            self.reflected(name, at);
        } else {
            self.attribute_name(name, at);
        }
    }

    /// What a class pattern reads by position are attributes with the names that this holds.
    pub(super) fn match_args(&mut self, targets: &[Expr], value: &Expr) {
        let is_it = |name: &ExprName| name.id == "__match_args__";
        if !targets.iter().any(|target| target.as_name_expr().is_some_and(is_it)) {
            return;
        }
        let names = match value {
            Expr::Tuple(tuple) => tuple.elts.as_slice(),
            _ => &[],
        };
        let is_plain = |name: &Expr| {
            let name = name.as_string_literal_expr().map(|it| it.value.to_str());
            name.is_some_and(|name| name != "__dict__" && !is_reflection(name))
        };
        if value.as_tuple_expr().is_none() || !names.iter().all(is_plain) {
            let message = "__match_args__ holds more than the names of ordinary attributes";
            let advice = "write a tuple of names: __match_args__ = (\"x\", \"y\")";
            self.report(place(value), "python/match", message.to_owned(), advice);
        }
    }

    /// `super().__getattribute__` in a method of that name.
    fn is_own_lookup(&self, value: &'a Expr) -> bool {
        let is_in_it = self.functions.last() == Some(&"__getattribute__");
        is_in_it
            && match value {
                Expr::Call(call) => self.builtin_of(&call.func) == Some("super"),
                value => self.builtin_of(value) == Some("object"),
            }
    }
}

/// Whether an attribute is on the list, or a dunder that is on none.
pub(super) fn is_reflection(name: &str) -> bool {
    let is_dunder = name.len() > 4 && name.starts_with("__") && name.ends_with("__");
    lists::REFLECTION.has(name) || is_dunder && !lists::ORDINARY.has(name)
}

//! Calls whose arguments say which attribute is read, or which class is made.

use ruff_python_ast::{Expr, ExprCall, ExprStringLiteral};

use super::attributes::is_reflection;
use super::walk::Walker;
use super::{format, place};

impl<'a> Walker<'a, '_, '_> {
    pub(super) fn call(&mut self, call: &'a ExprCall) {
        let arguments = &call.arguments;
        match self.builtin_of(&call.func) {
            Some(function @ ("getattr" | "setattr" | "delattr" | "hasattr")) => {
                if let Some(name) = arguments.args.get(1) {
                    self.named_attribute(name, function);
                }
            }
            Some("type") if arguments.args.len() + arguments.keywords.len() > 2 => {
                let message = "type() with three arguments makes a class unseen".to_owned();
                let advice = "write a class statement, or use dataclasses.make_dataclass()";
                self.report(place(call), "python/dynamic-class", message, advice);
            }
            Some("vars") if arguments.is_empty() => {
                let message = "vars() without an object looks into the interpreter".to_owned();
                let advice = "keep values in a dict of your own, or name an object";
                self.report(place(call), "python/builtin", message, advice);
            }
            _ => {}
        }
        if let Some(attribute) = call.func.as_attribute_expr()
            && ["format", "format_map"].contains(&attribute.attr.as_str())
        {
            self.formatted(&attribute.value);
        }
        let target = self.imported(&call.func);
        let names = ["operator.attrgetter", "operator.methodcaller"];
        if target.is_some_and(|target| names.contains(&&*target)) {
            for name in &arguments.args {
                self.dotted_attribute(name);
            }
        }
    }

    fn named_attribute(&mut self, name: &Expr, function: &str) {
        if let Expr::StringLiteral(literal) = name {
            let name = literal.value.to_str();
            if function != "hasattr" && name == "__match_args__" {
                self.reflected(name, place(literal));
            } else {
                self.attribute_name(name, place(literal));
            }
        } else if self.is_restricted() {
            let message = format!("{function}() with a name that is computed can read anything");
            let advice = "write the attribute, or keep what you look up by name in a dict";
            self.report(place(name), "python/dynamic-attribute", message, advice);
        }
    }

    fn dotted_attribute(&mut self, name: &Expr) {
        if let Expr::StringLiteral(literal) = name {
            for part in literal.value.to_str().split('.') {
                self.attribute_name(part, place(literal));
            }
        } else if self.is_restricted() {
            let message = "the name of an attribute is computed, and may be any".to_owned();
            let advice = "use a lambda that reads the attribute";
            self.report(place(name), "python/dynamic-attribute", message, advice);
        }
    }

    /// The text that formats, if it is known here.
    fn formatted(&mut self, receiver: &Expr) {
        let texts: Vec<&ExprStringLiteral> = match receiver {
            Expr::StringLiteral(text) => vec![text],
            Expr::Name(name) => {
                let values = self.binding(&name.id).map(|binding| binding.values.iter());
                values.into_iter().flatten().filter_map(|it| it.as_string_literal_expr()).collect()
            }
            _ => Vec::new(),
        };
        // Each is looked at once, however often it formats.
        let texts: Vec<_> =
            texts.into_iter().filter(|text| self.formats.insert(place(*text).start)).collect();
        for text in texts {
            let found = format::attributes(text.value.to_str()).find(|name| is_reflection(name));
            if let Some(name) = found {
                let message = format!("a format string reads {name}");
                let advice = "format values, not what they are made of; or write an f-string";
                self.report(place(text), "python/format", message, advice);
            }
        }
    }
}

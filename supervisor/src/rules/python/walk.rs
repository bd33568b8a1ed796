//! The walk over a tree, and what a name means where it stands.

use std::borrow::Cow;
use std::ops::Range;

use foldhash::{HashMap, HashSet};
use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{
    Comprehension, ExceptHandler, Expr, ExprContext, ExprName, Identifier, Parameter, Pattern,
    Stmt, StmtClassDef, StmtFunctionDef,
};
use ruff_text_size::Ranged;

use super::imports;
use super::place;
use super::scope::{Binding, Kind, Scope};
use crate::rules::findings::Findings;
use crate::rules::lists::python as lists;
use crate::{Mode, Rules};

/// A name stands for what it was given, and that for what it was given before.
const STEPS: usize = 3;
/// Longer than the full name of anything on a list.
const DOTS: usize = 8;

pub(super) struct Walker<'a, 'f, 'source> {
    pub(super) rules: &'f Rules,
    pub(super) findings: &'f mut Findings<'source>,
    scopes: Vec<Scope<'a>>,
    /// Which of them bind a name: they may be many, and names more.
    bound_in: HashMap<&'a str, Vec<usize>>,
    /// Where the texts stand whose fields were looked at.
    pub(super) formats: HashSet<usize>,
    /// The functions around.
    pub(super) functions: Vec<&'a str>,
}

pub(super) fn walk(body: &[Stmt], rules: &Rules, findings: &mut Findings<'_>) {
    let mut walker = Walker {
        rules,
        findings,
        scopes: Vec::new(),
        bound_in: HashMap::default(),
        formats: HashSet::default(),
        functions: Vec::new(),
    };
    walker.within(Scope::of(Kind::Module, body), |walker| walker.visit_body(body));
}

impl<'a> Walker<'a, '_, '_> {
    pub(super) fn report(
        &mut self,
        at: Range<usize>,
        rule: &'static str,
        message: String,
        advice: &str,
    ) {
        self.findings.add(at, rule, message, advice);
    }

    pub(super) fn is_restricted(&self) -> bool {
        self.rules.mode <= Mode::Restricted
    }

    /// What a name is bound to, if it is bound here.
    pub(super) fn binding(&self, name: &str) -> Option<&Binding<'a>> {
        self.seen(name).find_map(|(_, scope)| scope.binding(name))
    }

    /// The builtin that an expression may be, by way of one other name at most.
    pub(super) fn builtin_of(&self, expr: &'a Expr) -> Option<&'a str> {
        let name = expr.as_name_expr()?;
        if !self.is_hidden(name) {
            return Some(name.id.as_str());
        }
        let values = self.binding(&name.id)?.values.iter();
        let mut names = values.filter_map(|value| value.as_name_expr());
        names
            .find(|value| value.id != name.id && self.binding(&value.id).is_none())
            .map(|value| value.id.as_str())
    }

    /// The full name of the module, or of what a module holds, that an expression may be.
    pub(super) fn imported(&self, expr: &'a Expr) -> Option<Cow<'a, str>> {
        self.imported_within(expr, STEPS, DOTS)
    }

    fn imported_within(&self, expr: &'a Expr, steps: usize, dots: usize) -> Option<Cow<'a, str>> {
        match expr {
            Expr::Name(name) => {
                let binding = self.binding(&name.id)?;
                if let Some(full) = &binding.imported {
                    return Some(full.clone());
                }
                let steps = steps.checked_sub(1)?;
                let mut values = binding.values.iter().take(8);
                values.find_map(|value| self.imported_within(value, steps, dots))
            }
            Expr::Attribute(attribute) => {
                let of = self.imported_within(&attribute.value, steps, dots.checked_sub(1)?)?;
                Some(Cow::Owned(imports::within(&of, &attribute.attr, self.rules)))
            }
            Expr::Named(named) => self.imported_within(&named.value, steps, dots),
            _ => None,
        }
    }

    fn seen(&self, name: &str) -> impl Iterator<Item = (bool, &Scope<'a>)> {
        let innermost = self.scopes.len().saturating_sub(1);
        // What a class binds is not seen from the functions in it.
        let places = self.bound_in.get(name).into_iter().flatten().rev();
        places
            .filter_map(|at| Some((*at, self.scopes.get(*at)?)))
            .filter(move |(at, scope)| *at == innermost || scope.kind != Kind::Class)
            .map(move |(at, scope)| (at == innermost, scope))
    }

    /// Whether a name is surely no builtin.
    fn is_hidden(&self, name: &ExprName) -> bool {
        let at = name.range.start().into();
        self.seen(&name.id)
            .any(|(is_innermost, scope)| scope.hides(&name.id, is_innermost.then_some(at)))
    }

    fn name(&mut self, name: &ExprName) {
        let text = name.id.as_str();
        if name.ctx != ExprContext::Load {
            return self.bound(text, place(name));
        }
        if !lists::may_be_refused(text) {
            return;
        }
        if lists::REFLECTION.has(text) || text == "__build_class__" {
            return self.reflected(text, place(name));
        }
        let is_denied = lists::CODE_BUILTINS.has(text)
            || lists::REFLECTION_BUILTINS.has(text)
            || self.is_restricted() && lists::STANDARD_BUILTINS.has(text);
        if !is_denied || self.is_hidden(name) {
            return;
        }
        if lists::CODE_BUILTINS.has(text) {
            let message = format!("{text} runs text as code");
            let advice = "write the code itself; json.loads() and int() or float() read data";
            self.report(place(name), "python/code", message, advice);
        } else if lists::STANDARD_BUILTINS.has(text) {
            let message = format!("mode {} has no {text}()", self.rules.mode);
            let advice = "print what is to be kept; input comes as text, or by input()";
            self.report(place(name), "python/builtin", message, advice);
        } else {
            let (does, advice) = match text {
                "globals" | "locals" => {
                    let advice = "keep values in variables of your own, or in a dict";
                    ("looks into the interpreter", advice)
                }
                "breakpoint" => ("waits for a person", "print what is to be seen there"),
                _ => ("shows pages to a person", "print(x.__doc__) shows what is known of x"),
            };
            self.report(place(name), "python/builtin", format!("{text} {does}"), advice);
        }
    }

    /// A name that is bound: some mean something to the interpreter.
    fn bound(&mut self, name: &str, at: Range<usize>) {
        if ["__builtins__", "__import__", "__build_class__", "__loader__", "__spec__"]
            .contains(&name)
        {
            self.reflected(name, at);
        }
    }

    fn function(&mut self, def: &'a StmtFunctionDef) {
        self.bound(&def.name, super::bytes(def.name.range));
        def.decorator_list.iter().for_each(|decorator| self.visit_decorator(decorator));
        def.type_params.iter().for_each(|params| self.visit_type_params(params));
        self.visit_parameters(&def.parameters);
        def.returns.iter().for_each(|returns| self.visit_annotation(returns));
        let mut scope = Scope::of(Kind::Function, &def.body);
        scope.bind_parameters(&def.parameters);
        scope.bind_type_params(def.type_params.as_deref());
        self.functions.push(&def.name);
        self.within(scope, |walker| walker.visit_body(&def.body));
        self.functions.pop();
    }

    fn class(&mut self, class: &'a StmtClassDef) {
        self.bound(&class.name, super::bytes(class.name.range));
        class.decorator_list.iter().for_each(|decorator| self.visit_decorator(decorator));
        class.type_params.iter().for_each(|params| self.visit_type_params(params));
        class.arguments.iter().for_each(|arguments| self.visit_arguments(arguments));
        let scope = Scope::of(Kind::Class, &class.body);
        self.within(scope, |walker| walker.visit_body(&class.body));
    }

    /// The first source of a comprehension is looked up around it, and all else in it.
    fn comprehension(&mut self, generators: &'a [Comprehension], elements: [Option<&'a Expr>; 2]) {
        let mut scope = Scope::empty(Kind::Function);
        for generator in generators {
            scope.bind_targets(&generator.target);
        }
        if let Some(first) = generators.first() {
            self.visit_expr(&first.iter);
        }
        self.within(scope, |walker| {
            for (at, generator) in generators.iter().enumerate() {
                if at > 0 {
                    walker.visit_expr(&generator.iter);
                }
                walker.visit_expr(&generator.target);
                generator.ifs.iter().for_each(|test| walker.visit_expr(test));
            }
            elements.into_iter().flatten().for_each(|element| walker.visit_expr(element));
        });
    }

    fn within(&mut self, scope: Scope<'a>, walk: impl FnOnce(&mut Self)) {
        for name in scope.names.keys() {
            self.bound_in.entry(name).or_default().push(self.scopes.len());
        }
        self.scopes.push(scope);
        walk(self);
        for name in self.scopes.pop().iter().flat_map(|scope| scope.names.keys()) {
            if let Some(places) = self.bound_in.get_mut(name) {
                places.pop();
            }
        }
    }

    fn identifier(&mut self, name: Option<&Identifier>) {
        if let Some(name) = name {
            self.bound(name.as_str(), super::bytes(name.range));
        }
    }
}

impl<'a> Visitor<'a> for Walker<'a, '_, '_> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        if self.findings.is_full() {
            return;
        }
        match stmt {
            Stmt::FunctionDef(def) => self.function(def),
            Stmt::ClassDef(class) => self.class(class),
            Stmt::Import(import) => self.import(import),
            Stmt::ImportFrom(import) => self.import_from(import),
            Stmt::Assign(assign) => {
                self.match_args(&assign.targets, &assign.value);
                visitor::walk_stmt(self, stmt);
            }
            Stmt::AnnAssign(assign) => {
                let target = std::slice::from_ref(&*assign.target);
                assign.value.iter().for_each(|value| self.match_args(target, value));
                visitor::walk_stmt(self, stmt);
            }
            Stmt::Global(global) => {
                global.names.iter().for_each(|name| self.identifier(Some(name)));
            }
            _ => visitor::walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) => self.name(name),
            Expr::Lambda(lambda) => {
                let mut scope = Scope::empty(Kind::Function);
                if let Some(parameters) = &lambda.parameters {
                    self.visit_parameters(parameters);
                    scope.bind_parameters(parameters);
                }
                self.within(scope, |walker| walker.visit_expr(&lambda.body));
            }
            Expr::ListComp(it) => self.comprehension(&it.generators, [Some(&it.elt), None]),
            Expr::SetComp(it) => self.comprehension(&it.generators, [Some(&it.elt), None]),
            Expr::Generator(it) => self.comprehension(&it.generators, [Some(&it.elt), None]),
            Expr::DictComp(it) => {
                self.comprehension(&it.generators, [it.key.as_deref(), Some(&it.value)]);
            }
            Expr::Attribute(attribute) => {
                self.attribute(attribute);
                visitor::walk_expr(self, expr);
            }
            Expr::Subscript(subscript) => {
                self.subscript(subscript);
                visitor::walk_expr(self, expr);
            }
            Expr::Call(call) => {
                self.call(call);
                visitor::walk_expr(self, expr);
            }
            _ => visitor::walk_expr(self, expr),
        }
    }

    fn visit_annotation(&mut self, annotation: &'a Expr) {
        self.annotation(annotation);
        visitor::walk_annotation(self, annotation);
    }

    fn visit_parameter(&mut self, parameter: &'a Parameter) {
        self.identifier(Some(&parameter.name));
        visitor::walk_parameter(self, parameter);
    }

    fn visit_except_handler(&mut self, handler: &'a ExceptHandler) {
        let ExceptHandler::ExceptHandler(it) = handler;
        self.identifier(it.name.as_ref());
        visitor::walk_except_handler(self, handler);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        match pattern {
            Pattern::MatchAs(it) => self.identifier(it.name.as_ref()),
            Pattern::MatchStar(it) => self.identifier(it.name.as_ref()),
            Pattern::MatchMapping(it) => self.identifier(it.rest.as_ref()),
            Pattern::MatchClass(it) => {
                for keyword in &it.arguments.keywords {
                    self.pattern_name(&keyword.attr, super::bytes(keyword.attr.range()));
                }
            }
            _ => {}
        }
        visitor::walk_pattern(self, pattern);
    }
}

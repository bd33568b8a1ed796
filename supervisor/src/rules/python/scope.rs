//! What names stand for: which are bound where, and, one step back, to what.

use std::borrow::Cow;

use foldhash::{HashMap, HashSet};
use ruff_python_ast::visitor::{self, Visitor};
use ruff_python_ast::{
    Alias, ExceptHandler, Expr, ExprContext, Identifier, Parameters, Pattern, Stmt, TypeParams,
};
use ruff_text_size::Ranged;

/// As many values of one name as are remembered, and as long a name of a module. What is beyond may be
/// anything, and is left to the guard.
const VALUES_MOST: usize = 16;
const MODULE_BYTES_MOST: usize = 256;

/// What one name stands for in one scope.
#[derive(Debug, Default)]
pub(super) struct Binding<'a> {
    /// The module, or what is in one, that it was first, by its full name.
    pub(super) imported: Option<Cow<'a, str>>,
    /// The names, attributes and texts that it was given, the first of them.
    pub(super) values: Vec<&'a Expr>,
    /// Where it is first bound whatever happens; nowhere, and the builtin may show through.
    pub(super) firm_from: Option<u32>,
    pub(super) is_deleted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Module,
    Class,
    Function,
}

#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) kind: Kind,
    pub(super) names: HashMap<&'a str, Binding<'a>>,
    /// Names of it that belong to another scope.
    elsewhere: HashSet<&'a str>,
    /// How many statements, that may be skipped, are around.
    depth: u32,
}

impl<'a> Scope<'a> {
    pub(super) fn empty(kind: Kind) -> Self {
        Self { kind, names: HashMap::default(), elsewhere: HashSet::default(), depth: 0 }
    }

    /// What the statements of a body bind, without those of functions and classes in it.
    pub(super) fn of(kind: Kind, body: &'a [Stmt]) -> Self {
        let mut scope = Self::empty(kind);
        scope.visit_body(body);
        scope
    }

    pub(super) fn bind_parameters(&mut self, parameters: &'a Parameters) {
        for parameter in parameters {
            self.bind(parameter.name().as_str(), parameter.range().start().into());
        }
    }

    pub(super) fn bind_type_params(&mut self, params: Option<&'a TypeParams>) {
        for param in params.iter().flat_map(|params| params.iter()) {
            self.bind(param.name().as_str(), param.range().start().into());
        }
    }

    /// What the targets of a comprehension, or any expression, bind.
    pub(super) fn bind_targets(&mut self, target: &'a Expr) {
        self.visit_expr(target);
    }

    pub(super) fn bind(&mut self, name: &'a str, at: u32) -> &mut Binding<'a> {
        let is_firm = self.depth == 0;
        let binding = self.names.entry(name).or_default();
        if is_firm {
            binding.firm_from = Some(binding.firm_from.map_or(at, |first| first.min(at)));
        }
        binding
    }

    /// Whether a name is bound here in every case, so that no builtin shows through it.
    pub(super) fn hides(&self, name: &str, at: Option<u32>) -> bool {
        if self.elsewhere.contains(name) {
            return false;
        }
        let Some(binding) = self.names.get(name) else { return false };
        match (self.kind, at) {
            // A function has no way back to a builtin, but for what it declares elsewhere.
            (Kind::Function, _) => true,
            _ if binding.is_deleted => false,
            (_, None) => binding.firm_from.is_some(),
            (_, Some(at)) => binding.firm_from.is_some_and(|from| from < at),
        }
    }

    pub(super) fn binding(&self, name: &str) -> Option<&Binding<'a>> {
        self.names.get(name).filter(|_| !self.elsewhere.contains(name))
    }

    fn import(&mut self, alias: &'a Alias, from: Option<&str>) {
        let at = alias.range().start().into();
        let full = alias.name.as_str();
        if full.len() + from.map_or(0, str::len) > MODULE_BYTES_MOST {
            self.bind(alias.asname.as_ref().unwrap_or(&alias.name).as_str(), at);
            return;
        }
        let (name, stands_for) = match (&alias.asname, from) {
            (Some(name), None) => (name.as_str(), Cow::Borrowed(full)),
            (Some(name), Some(from)) => (name.as_str(), Cow::Owned(format!("{from}.{full}"))),
            (None, Some(from)) => (full, Cow::Owned(format!("{from}.{full}"))),
            (None, None) => {
                let first = full.split('.').next().unwrap_or(full);
                (first, Cow::Borrowed(first))
            }
        };
        self.bind(name, at).imported.get_or_insert(stands_for);
    }

    fn assign(&mut self, target: &'a Expr, value: &'a Expr) {
        if let Expr::Name(name) = target {
            let binding = self.bind(name.id.as_str(), name.range.start().into());
            let tells = matches!(
                value,
                Expr::Name(_) | Expr::Attribute(_) | Expr::Named(_) | Expr::StringLiteral(_)
            );
            if tells && binding.values.len() < VALUES_MOST {
                binding.values.push(value);
            }
        }
    }

    /// The targets of comprehensions are theirs; what a walrus in one binds is not.
    fn visit_comprehended(&mut self, expr: &'a Expr) {
        let generators = match expr {
            Expr::ListComp(it) => &it.generators,
            Expr::SetComp(it) => &it.generators,
            Expr::Generator(it) => &it.generators,
            Expr::DictComp(it) => &it.generators,
            _ => return,
        };
        for generator in generators {
            self.visit_expr(&generator.iter);
            generator.ifs.iter().for_each(|test| self.visit_expr(test));
        }
        match expr {
            Expr::ListComp(it) => self.visit_expr(&it.elt),
            Expr::SetComp(it) => self.visit_expr(&it.elt),
            Expr::Generator(it) => self.visit_expr(&it.elt),
            Expr::DictComp(it) => {
                it.key.iter().for_each(|key| self.visit_expr(key));
                self.visit_expr(&it.value);
            }
            _ => {}
        }
    }
}

impl<'a> Visitor<'a> for Scope<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        let at = stmt.range().start().into();
        match stmt {
            Stmt::FunctionDef(def) => {
                self.bind(def.name.as_str(), at);
            }
            Stmt::ClassDef(class) => {
                self.bind(class.name.as_str(), at);
            }
            Stmt::Import(import) => {
                import.names.iter().for_each(|alias| self.import(alias, None));
            }
            Stmt::ImportFrom(import) => {
                let dots = ".".repeat(usize::try_from(import.level).unwrap_or(1).min(8));
                let from = import.module.as_ref().map_or("", |module| module.as_str());
                let from = format!("{dots}{from}");
                import.names.iter().for_each(|alias| self.import(alias, Some(&from)));
            }
            Stmt::Global(global) => {
                self.elsewhere.extend(global.names.iter().map(Identifier::as_str));
            }
            Stmt::Nonlocal(nonlocal) => {
                self.elsewhere.extend(nonlocal.names.iter().map(Identifier::as_str));
            }
            Stmt::Assign(assign) => {
                visitor::walk_stmt(self, stmt);
                assign.targets.iter().for_each(|target| self.assign(target, &assign.value));
            }
            Stmt::AnnAssign(assign) => match &assign.value {
                Some(value) => {
                    visitor::walk_stmt(self, stmt);
                    self.assign(&assign.target, value);
                }
                // Binds nothing, but makes the name one of the function.
                None if self.kind == Kind::Function => visitor::walk_stmt(self, stmt),
                None => {}
            },
            Stmt::If(_)
            | Stmt::For(_)
            | Stmt::While(_)
            | Stmt::Try(_)
            | Stmt::With(_)
            | Stmt::Match(_) => {
                self.depth += 1;
                visitor::walk_stmt(self, stmt);
                self.depth -= 1;
            }
            _ => visitor::walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) => match name.ctx {
                ExprContext::Store => {
                    self.bind(name.id.as_str(), name.range.start().into());
                }
                ExprContext::Del => {
                    self.bind(name.id.as_str(), name.range.start().into()).is_deleted = true;
                }
                ExprContext::Load | ExprContext::Invalid => {}
            },
            Expr::Named(named) => {
                self.depth += 1;
                visitor::walk_expr(self, expr);
                self.assign(&named.target, &named.value);
                self.depth -= 1;
            }
            Expr::Lambda(_) => {}
            Expr::ListComp(_) | Expr::SetComp(_) | Expr::DictComp(_) | Expr::Generator(_) => {
                self.visit_comprehended(expr);
            }
            _ => visitor::walk_expr(self, expr),
        }
    }

    fn visit_except_handler(&mut self, handler: &'a ExceptHandler) {
        let ExceptHandler::ExceptHandler(it) = handler;
        if let Some(name) = &it.name {
            // It is gone behind the handler.
            self.bind(name.as_str(), name.range.start().into()).is_deleted = true;
        }
        visitor::walk_except_handler(self, handler);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        let name = match pattern {
            Pattern::MatchAs(it) => it.name.as_ref(),
            Pattern::MatchStar(it) => it.name.as_ref(),
            Pattern::MatchMapping(it) => it.rest.as_ref(),
            _ => None,
        };
        if let Some(name) = name {
            self.bind(name.as_str(), name.range.start().into());
        }
        visitor::walk_pattern(self, pattern);
    }
}

//! Imports, and the ways from one module to another.

use std::ops::Range;

use ruff_python_ast::{StmtImport, StmtImportFrom};

use super::bytes;
use super::walk::Walker;
use crate::rules::lists::python as lists;
use crate::{Mode, Rules};

impl Walker<'_, '_, '_> {
    pub(super) fn import(&mut self, import: &StmtImport) {
        for alias in &import.names {
            let at = bytes(alias.name.range);
            if !is_allowed(&alias.name, self.rules) {
                self.refuse(&alias.name, at);
            }
            self.rebound(alias.asname.as_ref());
        }
    }

    pub(super) fn import_from(&mut self, import: &StmtImportFrom) {
        let module = import.module.as_ref().map_or("", |module| module.as_str());
        let at = import.module.as_ref().map_or(bytes(import.range), |module| bytes(module.range));
        if import.level > 0 {
            if self.is_restricted() {
                self.refuse(&format!(".{module}"), at);
            }
            return;
        }
        for alias in &import.names {
            let name = alias.name.as_str();
            let full = format!("{module}.{name}");
            if is_allowed(&full, self.rules) && lists::WITHHELD.has(&full) {
                self.withheld(module, name, bytes(alias.name.range));
            } else if is_listed(&full, self.rules) {
                // A package may be there for the sake of what is in it.
            } else if !is_listed(module, self.rules) {
                return self.refuse(module, at);
            } else if name != "*" {
                self.module_attribute(module, name, bytes(alias.name.range));
            }
            self.rebound(alias.asname.as_ref());
        }
    }

    /// What is read from a module of the list: what it imported for itself is not its own.
    pub(super) fn module_attribute(&mut self, module: &str, name: &str, at: Range<usize>) {
        let full = format!("{module}.{name}");
        if is_added(module, self.rules)
            || is_allowed(&full, self.rules) && !lists::WITHHELD.has(&full)
        {
            return;
        }
        let is_package = !is_listed(module, self.rules) && is_allowed(module, self.rules);
        if !is_package && !is_listed(module, self.rules) {
            return;
        }
        let is_own = name.starts_with("__") && name.ends_with("__");
        let bare = name.trim_start_matches('_');
        let is_module = lists::LIBRARY.has(bare) && !is_listed(bare, self.rules);
        if is_package || is_module || lists::WITHHELD.has(&full) || bare != name && !is_own {
            self.withheld(module, name, at);
        }
    }

    fn withheld(&mut self, module: &str, name: &str, at: Range<usize>) {
        let message = format!("{name} of module {module} is not for programs of this mode");
        let advice = format!("use what the documentation of {module} names, within one process");
        self.report(at, "python/module-attribute", message, &advice);
    }

    fn refuse(&mut self, module: &str, at: Range<usize>) {
        let first = module.split('.').next().unwrap_or(module);
        let group = lists::GROUPS.iter().find(|group| group.modules.has(first));
        let mode = self.rules.mode;
        let (message, advice) = match group {
            _ if self.is_restricted() => {
                let message = format!("mode {mode} imports nothing, so not {module}");
                (message, "use the builtins, and functions of your own")
            }
            Some(group) => {
                (format!("{module} {}: mode {mode} has no such modules", group.does), group.advice)
            }
            None => {
                let message = format!("{module} is not on the list of modules of mode {mode}");
                (message, "use a module of the list, or ask the operator to add this one")
            }
        };
        self.report(at, "python/import", message, advice);
    }

    fn rebound(&mut self, name: Option<&ruff_python_ast::Identifier>) {
        if let Some(name) = name
            && name.as_str() == "__builtins__"
        {
            self.reflected(name, bytes(name.range));
        }
    }
}

/// The full name of what a module has; one that it imported is itself.
pub(super) fn within(module: &str, name: &str, rules: &Rules) -> String {
    let full = format!("{module}.{name}");
    let is_module = lists::LIBRARY.has(name) || lists::MODULES.has(name);
    if is_module && !is_allowed(&full, rules) { name.to_owned() } else { full }
}

/// Whether a module is on the list, was added to it, or leads to one that is.
pub(super) fn is_allowed(module: &str, rules: &Rules) -> bool {
    is_listed(module, rules)
        || rules.mode >= Mode::Standard
            && (lists::MODULES.is_package(module) || {
                // In their order, what is below a module follows it and its dot.
                let from = format!("{module}.");
                rules.modules.range(from.clone()..).next().is_some_and(|it| it.starts_with(&from))
            })
}

/// Whether a module itself is on the list or was added to it.
fn is_listed(module: &str, rules: &Rules) -> bool {
    lists::ALWAYS.has(module)
        || rules.mode >= Mode::Standard && (lists::MODULES.has(module) || is_added(module, rules))
}

/// An operator adds whole packages. The files of a run are added the same way.
fn is_added(module: &str, rules: &Rules) -> bool {
    let holds = |(at, _)| module.get(..at).is_some_and(|package| rules.modules.contains(package));
    rules.mode >= Mode::Standard
        && (rules.modules.contains(module) || module.match_indices('.').any(holds))
}

//! The rules of shells, which are those of their grammar: what a script makes of text when it runs,
//! nobody has read. They are held before the start alone; a shell has nothing that would hold them later.

mod arithmetic;
mod commands;
mod heredoc;
mod programs;
mod text;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use tree_sitter::{Node, ParseOptions, ParseState, Parser, Tree};

use super::bounds::{single, size};
use super::findings::Findings;
use super::lists::bash as lists;
use super::{Finding, Mode, Rules};

/// As deep as what is looked at nests.
const LEVELS_MOST: u32 = 200;
/// Steps of the parser, in hundreds, for any script and for each of its bytes.
const STEPS: usize = 4000;
const STEPS_PER_BYTE: usize = 2;
/// A longer script is none that somebody reads. What the parser does with one that makes no sense
/// grows with the square of its length.
const SCRIPT_BYTES: usize = 32 * 1024;
/// Here-documents and pipes of a whole script.
const HEREDOCS_OF_ALL: usize = 128;
const PIPES_MOST: usize = 1000;
/// Here-documents that begin on one line: each of them is read again for the next.
const HEREDOCS_MOST: usize = 16;
/// Scripts within the strings of scripts: what a trap runs.
const SCRIPTS_MOST: u32 = 2;

pub(super) fn check(source: &str, rules: &Rules) -> Vec<Finding> {
    if let Some(too_large) = size(source, "bash/bounds") {
        return vec![too_large];
    }
    let mut findings = Findings::new(source);
    match look(source, rules, None, SCRIPTS_MOST, &mut findings) {
        Ok(()) => findings.finish(),
        Err(finding) => vec![*finding],
    }
}

/// A script that is looked at.
struct Look<'look, 'source> {
    source: &'source str,
    rules: &'look Rules,
    functions: Functions<'look>,
    values: Values,
    /// Where the function ends that was entered last, of those in none.
    function_end: usize,
    scripts: u32,
    findings: &'look mut Findings<'source>,
}

/// What is assigned to each variable, if all of it can be read.
type Values = BTreeMap<String, Option<Vec<String>>>;

/// What a script defines itself, and from where on; and what the script around it does.
struct Functions<'look> {
    own: BTreeMap<String, usize>,
    /// And where in that script this one stands.
    outer: Option<(&'look Self, usize)>,
}

impl Functions<'_> {
    fn has(&self, name: &str, at: usize) -> bool {
        self.own.get(name).is_some_and(|from| *from <= at)
            || self.outer.is_some_and(|(outer, at)| outer.has(name, at))
    }
}

/// Later than anything in a script: all functions are defined by then.
const AT_LAST: usize = usize::MAX;

fn look<'source>(
    source: &'source str,
    rules: &Rules,
    outer: Option<(&Functions<'_>, usize)>,
    scripts: u32,
    findings: &mut Findings<'source>,
) -> Result<(), Box<Finding>> {
    let refused = |message: &str, advice: &str| {
        Box::new(single(source, 0..0, "bash/bounds", message, advice))
    };
    if source.len() > SCRIPT_BYTES {
        return Err(refused("the script is longer than is looked at", "pass data as input files"));
    }
    if source.contains('\0') {
        return Err(refused("the script holds a NUL", "write it without"));
    }
    if source.lines().any(|line| line.matches("<<").count() > HEREDOCS_MOST) {
        return Err(refused("too many here-documents begin on one line", "begin one on each line"));
    }
    // A parser that has lost its way tries again at each of them.
    if source.matches("<<").count() > HEREDOCS_OF_ALL || source.matches('|').count() > PIPES_MOST {
        return Err(refused(
            "the script has more pipes or here-documents than are looked at",
            "split it up",
        ));
    }
    if nests_deep(source) {
        return Err(refused("the script nests deeper than is looked at", "split it up"));
    }
    let tree = parse(&arithmetic::masked(source)).ok_or_else(|| {
        refused("the script takes too long to read", "make it shorter or plainer")
    })?;
    let functions = Functions { own: definitions(&tree, source), outer };
    let values = values(&tree, source);
    let mut look = Look { source, rules, functions, values, function_end: 0, scripts, findings };
    let mut cursor = tree.walk();
    loop {
        if cursor.depth() > LEVELS_MOST {
            return Err(refused("the script nests deeper than is looked at", "split it up"));
        }
        if look.findings.is_full() {
            return Ok(());
        }
        look.node(cursor.node());
        if cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return Ok(());
            }
        }
    }
}

/// Whether more brackets are open than anybody reads, whatever they are: what a parser makes of them
/// takes as long.
fn nests_deep(source: &str) -> bool {
    let mut open = 0_u32;
    source.bytes().any(|byte| {
        match byte {
            b'(' | b'{' | b'[' => open += 1,
            b')' | b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        open > LEVELS_MOST
    })
}

/// The tree of a script, unless that takes out of proportion.
fn parse(source: &str) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_bash::LANGUAGE.into()).ok()?;
    let mut left = STEPS + source.len() * STEPS_PER_BYTE / 100;
    let mut count = |_: &ParseState| match left.checked_sub(1) {
        Some(fewer) => {
            left = fewer;
            ControlFlow::Continue(())
        }
        None => ControlFlow::Break(()),
    };
    let options = ParseOptions::new().progress_callback(&mut count);
    let mut read = |at: usize, _| source.as_bytes().get(at..).unwrap_or_default();
    parser.parse_with_options(&mut read, None, Some(options))
}

/// The functions that are defined whatever happens.
fn definitions(tree: &Tree, source: &str) -> BTreeMap<String, usize> {
    let root = tree.root_node();
    let mut cursor = root.walk();
    let is_own = |it: &Node<'_>| it.next_sibling().is_none_or(|next| next.kind() != "&");
    let defined = root.named_children(&mut cursor).filter(|it| it.kind() == "function_definition");
    let defined = defined.filter(is_own);
    let named = defined.filter_map(|it| {
        let name = it.child_by_field_name("name")?;
        Some((source.get(name.byte_range())?.to_owned(), it.start_byte()))
    });
    named.collect()
}

fn values(tree: &Tree, source: &str) -> Values {
    let mut values = Values::new();
    // Only their programs are looked for in values.
    if !source.contains("awk") && !source.contains("sed") {
        return values;
    }
    let mut cursor = tree.walk();
    loop {
        let node = cursor.node();
        let name =
            node.child_by_field_name("name").filter(|_| node.kind() == "variable_assignment");
        if let Some(name) = name.and_then(|name| source.get(name.byte_range())) {
            let is_whole = node.child(1).is_some_and(|sign| sign.kind() == "=");
            let value = node.child_by_field_name("value").filter(|_| is_whole);
            let value = value.map(|value| text::rendered(source, value));
            let all = values.entry(name.to_owned()).or_insert_with(|| Some(Vec::new()));
            match (value.filter(|value| !value.has_unknown), all.as_mut()) {
                (Some(value), Some(all)) => all.push(value.text),
                _ => *all = None,
            }
        }
        if cursor.depth() <= LEVELS_MOST && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return values;
            }
        }
    }
}

impl Look<'_, '_> {
    fn node(&mut self, node: Node<'_>) {
        if node.is_error() || node.is_missing() {
            return self.add(node, "bash/syntax", "this is not understood", "write it plainly");
        }
        match node.kind() {
            "command" => commands::check(self, node),
            "declaration_command" => commands::declaration(self, node),
            "unset_command" => commands::unset(self, node),
            "variable_assignment" | "for_statement" => self.variable(node),
            "unary_expression"
            | "binary_expression"
            | "compound_statement"
            | "subscript"
            | "arithmetic_expansion" => arithmetic::check(self, node),
            "word" | "regex" | "extglob_pattern" => heredoc::word(self, node),
            "heredoc_redirect" => heredoc::check(self, node),
            "file_redirect" => self.redirect(node),
            "function_definition" => self.definition(node),
            "process_substitution" if self.rules.mode == Mode::Restricted => self.add(
                node,
                "bash/redirection",
                "mode restricted has no process substitution",
                "use a variable, or ask for mode standard",
            ),
            "expansion" if self.text(node).ends_with("@P}") => {
                self.add(node, "bash/code", "this runs what a value holds", "print the value");
            }
            _ => {}
        }
    }

    /// How much of the script has run by the time that a node does.
    fn place(&self, node: Node<'_>) -> usize {
        // Nodes come in the order of the source. To ask each for what is above it would walk all before it.
        if node.start_byte() < self.function_end { AT_LAST } else { node.start_byte() }
    }

    /// Whether a script that is text of this one may run at a place of it.
    fn allows(&self, script: &str, at: usize) -> bool {
        let Some(scripts) = self.scripts.checked_sub(1) else { return false };
        let mut findings = Findings::new(script);
        let outer = Some((&self.functions, at));
        look(script, self.rules, outer, scripts, &mut findings).is_ok() && findings.is_empty()
    }

    fn text(&self, node: Node<'_>) -> &str {
        self.source.get(node.byte_range()).unwrap_or_default()
    }

    fn add(
        &mut self,
        node: Node<'_>,
        rule: &'static str,
        message: impl Into<String>,
        advice: &str,
    ) {
        self.findings.add(node.byte_range(), rule, message, advice);
    }

    /// What is assigned to, where its name stands alone.
    fn variable(&mut self, node: Node<'_>) {
        let field = if node.kind() == "for_statement" { "variable" } else { "name" };
        let Some(name) = node.child_by_field_name(field) else { return };
        let word = self.text(name).split('[').next().unwrap_or_default().to_owned();
        self.assigned(name, &word);
    }

    fn assigned(&mut self, node: Node<'_>, name: &str) {
        if lists::VARIABLES.contains(&name) || name.starts_with("BASH_FUNC_") {
            let message = format!("{name} decides what runs");
            self.add(node, "bash/variable", message, "leave it as it is");
        }
    }

    fn redirect(&mut self, node: Node<'_>) {
        let Some(destination) = node.child_by_field_name("destination") else { return };
        let shown = self.text(destination).to_owned();
        if shown.contains("/dev/tcp") || shown.contains("/dev/udp") {
            return self.add(
                node,
                "bash/network",
                "this opens a connection",
                "take the data as an input file",
            );
        }
        let target = text::constant(self.source, destination);
        let is_stream = target.as_deref().is_some_and(|target| {
            matches!(target, "/dev/null" | "/dev/stdin" | "/dev/stdout" | "/dev/stderr" | "-")
                || target.bytes().all(|byte| byte.is_ascii_digit())
        });
        let advice = "use the streams of the script, or /dev/null";
        if self.rules.mode == Mode::Restricted && !is_stream {
            self.add(node, "bash/redirection", "mode restricted opens no files", advice);
        } else if let Some(target) = target.filter(|_| !is_stream) {
            let is_absolute = target.starts_with('/');
            let is_own = ["/work/", "/tmp/", "/dev/fd/"].iter().any(|own| target.starts_with(own));
            if is_absolute && (!is_own || target.contains("/../")) {
                let message = format!("{target} is not a file of the run");
                self.add(node, "bash/redirection", message, "use files below /work");
            }
        }
    }

    fn definition(&mut self, node: Node<'_>) {
        self.function_end = self.function_end.max(node.end_byte());
        let Some(name) = node.child_by_field_name("name") else { return };
        let word = self.text(name).to_owned();
        if lists::REFUSED.iter().any(|(known, ..)| *known == word) {
            let message = format!("{word} is a command already");
            self.add(name, "bash/command", message, "give the function another name");
        }
    }
}

#[cfg(test)]
mod tests;

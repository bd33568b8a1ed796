//! What holds before a parser sees a source: parsers, what walks their trees, and what frees them
//! call themselves as deep as a source is nested, and a stack that overflows ends the process.

use std::ops::Range;

use super::Finding;
use super::findings::Findings;

/// As much source as a run may bring.
const SOURCE_BYTES: usize = 1 << 20;
/// As many levels as any list, tree or expression that somebody reads has; `CPython` allows 200.
const BRACKETS: usize = 200;
/// As many as `CPython` allows.
const INDENTS: usize = 99;
/// Levels of a tree, counted so that there are never more: a sum of as many terms is that deep.
const LEVELS: u32 = 1000;
/// A level takes less than 8 KiB of stack in an unoptimised build. The pages are only reserved.
const STACK_BYTES: usize = 64 << 20;
/// Fits on any stack, without a thread for it.
const SHALLOW_LEVELS: u32 = 60;

/// Why a source is nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooDeep {
    Brackets,
    Indents,
    Levels,
    /// What closes is not what was opened last.
    Mismatch,
}

/// Counts, token by token, the levels that a tree of them can have at most.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    open: Vec<Opened>,
    brackets: usize,
    indents: usize,
    /// Of all that is open.
    depth: u32,
    /// Links since the last separator: each operator may hold what follows, or what came before.
    chain: u32,
    /// Links that no separator ends, only what closes around them.
    held: u32,
    deepest: u32,
}

#[derive(Debug)]
struct Opened {
    closer: u8,
    chain: u32,
    held: u32,
}

const INDENT: u8 = 0;

impl Nesting {
    /// A bracket opens, and `closer` ends it.
    pub(super) fn open(&mut self, closer: u8) -> Result<(), TooDeep> {
        self.brackets += 1;
        if self.brackets > BRACKETS {
            return Err(TooDeep::Brackets);
        }
        self.push(closer)
    }

    /// A bracket closes. What stands behind it may hold it, as a call holds what is called.
    pub(super) fn close(&mut self, closer: u8) -> Result<(), TooDeep> {
        if self.open.last().is_none_or(|open| open.closer != closer) {
            return Err(TooDeep::Mismatch);
        }
        self.brackets = self.brackets.saturating_sub(1);
        self.pop();
        self.link()
    }

    /// A block begins by its indentation.
    pub(super) fn indent(&mut self) -> Result<(), TooDeep> {
        self.indents += 1;
        if self.indents > INDENTS {
            return Err(TooDeep::Indents);
        }
        self.push(INDENT)
    }

    /// A block ends.
    pub(super) fn dedent(&mut self) {
        if self.open.last().is_some_and(|open| open.closer == INDENT) {
            self.indents = self.indents.saturating_sub(1);
            self.pop();
        }
    }

    /// A token that may hold what is on one side of it.
    pub(super) fn link(&mut self) -> Result<(), TooDeep> {
        self.chain = self.chain.saturating_add(1);
        self.measure()
    }

    /// The same for what goes on behind a separator, as a lambda with two parameters does.
    pub(super) fn hold(&mut self) -> Result<(), TooDeep> {
        self.held = self.held.saturating_add(1);
        self.measure()
    }

    /// What follows stands beside what came before.
    pub(super) fn separate(&mut self) {
        self.chain = 0;
    }

    /// A statement ends.
    pub(super) fn end_statement(&mut self) {
        if self.brackets == 0 {
            (self.chain, self.held) = (0, 0);
        }
    }

    /// Whether some bracket is open.
    pub(super) fn is_open(&self) -> bool {
        self.brackets > 0
    }

    /// The most levels there have been.
    pub(super) fn deepest(&self) -> u32 {
        self.deepest
    }

    fn push(&mut self, closer: u8) -> Result<(), TooDeep> {
        self.open.push(Opened { closer, chain: self.chain, held: self.held });
        self.depth = self.depth.saturating_add(self.chain + self.held + 1);
        (self.chain, self.held) = (0, 0);
        self.measure()
    }

    fn pop(&mut self) {
        if let Some(opened) = self.open.pop() {
            self.depth = self.depth.saturating_sub(opened.chain + opened.held + 1);
            (self.chain, self.held) = (opened.chain, opened.held);
        }
    }

    fn measure(&mut self) -> Result<(), TooDeep> {
        let levels = self.depth.saturating_add(self.chain).saturating_add(self.held);
        self.deepest = self.deepest.max(levels);
        if levels > LEVELS { Err(TooDeep::Levels) } else { Ok(()) }
    }
}

impl TooDeep {
    /// What to say of it.
    pub(super) fn message(self) -> String {
        match self {
            Self::Brackets => format!("brackets are nested deeper than {BRACKETS} levels"),
            Self::Indents => format!("blocks are nested deeper than {INDENTS} levels"),
            Self::Levels => format!("an expression is nested deeper than {LEVELS} levels"),
            Self::Mismatch => "a bracket is closed that was not opened last".to_owned(),
        }
    }
}

/// The finding for a source that is too large to be looked at.
pub(super) fn size(source: &str, rule: &'static str) -> Option<Finding> {
    if source.len() <= SOURCE_BYTES {
        return None;
    }
    let message = format!("{} bytes of source are more than {SOURCE_BYTES}", source.len());
    Some(single(source, 0..0, rule, &message, "split the program, or pass data as input files"))
}

/// A finding that stands alone.
pub(super) fn single(
    source: &str,
    at: Range<usize>,
    rule: &'static str,
    message: &str,
    advice: &str,
) -> Finding {
    let mut findings = Findings::new(source);
    findings.add(at, rule, message, advice);
    findings.finish().swap_remove(0)
}

/// Does `work` on a stack that holds as many levels; nothing when there is no memory for one.
pub(super) fn on_a_stack<T: Send>(levels: u32, work: impl FnOnce() -> T + Send) -> Option<T> {
    if levels <= SHALLOW_LEVELS {
        return Some(work());
    }
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(STACK_BYTES);
        builder.spawn_scoped(scope, work).ok()?.join().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_add_up_and_siblings_do_not() {
        let mut nesting = Nesting::default();
        for _ in 0..10_000 {
            nesting.open(b')').unwrap();
            nesting.link().unwrap();
            nesting.close(b')').unwrap();
            nesting.separate();
        }
        assert_eq!(nesting.deepest(), 2);
        for _ in 0..BRACKETS {
            nesting.open(b']').unwrap();
        }
        assert_eq!(nesting.open(b']'), Err(TooDeep::Brackets));
    }

    #[test]
    fn a_chain_is_as_deep_as_it_is_long() {
        let mut nesting = Nesting::default();
        let links = (0..=LEVELS).take_while(|_| nesting.link().is_ok()).count();
        assert_eq!(u32::try_from(links), Ok(LEVELS));
    }

    #[test]
    fn what_closes_is_what_was_opened_last() {
        let mut nesting = Nesting::default();
        nesting.open(b')').unwrap();
        assert_eq!(nesting.close(b']'), Err(TooDeep::Mismatch));
    }

    #[test]
    fn deep_work_has_room() {
        fn sink(levels: u32) -> u32 {
            let room = std::hint::black_box([0_u8; 8 << 10]);
            if levels == 0 { u32::from(room[0]) } else { 1 + sink(levels - 1) }
        }
        assert_eq!(on_a_stack(LEVELS, || sink(LEVELS)), Some(LEVELS));
    }
}

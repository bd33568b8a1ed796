//! How deep a source is nested, told from its tokens alone.

use ruff_python_ast::token::TokenKind;
use ruff_python_parser::{Mode, lexer};

use super::super::Finding;
use super::super::bounds::{self, Nesting, TooDeep};

/// The most levels that a tree of this source has.
///
/// # Errors
/// The finding, for one that is nested too deeply, or whose brackets do not match.
pub(super) fn levels(source: &str) -> Result<u32, Box<Finding>> {
    let mut tokens = lexer::lex(source, Mode::Module);
    let mut nesting = Nesting::default();
    let mut line = 0;
    loop {
        let kind = tokens.next_token();
        let counted = match kind {
            TokenKind::EndOfFile => break,
            TokenKind::Newline | TokenKind::NonLogicalNewline => {
                line += 1;
                if kind == TokenKind::Newline {
                    nesting.end_statement();
                }
                continue;
            }
            kind => count(&mut nesting, kind),
        };
        if let Err(why) = counted {
            return Err(Box::new(finding(source, line, why)));
        }
    }
    if nesting.is_open() {
        return Err(Box::new(unclosed(source)));
    }
    Ok(nesting.deepest())
}

fn count(nesting: &mut Nesting, kind: TokenKind) -> Result<(), TooDeep> {
    use TokenKind as Kind;
    match kind {
        Kind::Lpar => nesting.open(b')'),
        Kind::Lsqb => nesting.open(b']'),
        Kind::Lbrace => nesting.open(b'}'),
        Kind::FStringStart | Kind::TStringStart => nesting.open(b'"'),
        Kind::Rpar => nesting.close(b')'),
        Kind::Rsqb => nesting.close(b']'),
        Kind::Rbrace => nesting.close(b'}'),
        Kind::FStringEnd | Kind::TStringEnd => nesting.close(b'"'),
        Kind::Indent => nesting.indent(),
        Kind::Dedent => {
            nesting.dedent();
            Ok(())
        }
        Kind::Comma | Kind::Semi => {
            nesting.separate();
            Ok(())
        }
        // The parameters of a lambda have commas, and what begins a block may follow another.
        Kind::Lambda
        | Kind::Def
        | Kind::Class
        | Kind::While
        | Kind::With
        | Kind::Try
        | Kind::Match
        | Kind::Case => nesting.hold(),
        Kind::Name
        | Kind::Int
        | Kind::Float
        | Kind::Complex
        | Kind::String
        | Kind::FStringMiddle
        | Kind::TStringMiddle
        | Kind::Comment
        | Kind::True
        | Kind::False
        | Kind::None
        | Kind::Ellipsis
        | Kind::Pass => Ok(()),
        _ => nesting.link(),
    }
}

/// Tokens do not say where they are: the line is counted by their ends, outside of strings.
fn finding(source: &str, line: usize, why: TooDeep) -> Finding {
    let at = source.split_inclusive('\n').take(line).map(str::len).sum::<usize>();
    let end = source.get(at..).and_then(|rest| rest.find('\n')).map_or(source.len(), |to| at + to);
    let (rule, advice) = match why {
        TooDeep::Mismatch => ("python/syntax", "close brackets in the order they were opened"),
        _ => ("python/nesting", "give the inner parts names, and combine those in a loop"),
    };
    bounds::single(source, at..end, rule, &why.message(), advice)
}

fn unclosed(source: &str) -> Finding {
    let end = source.trim_end().len();
    let message = "the source ends within a bracket or a string";
    bounds::single(source, end..source.len(), "python/syntax", message, "close it")
}

//! What the words and signs of the language mean to what comes after them.

/// What a word is, as far as nesting goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Name,
    Keyword,
    /// A keyword, or a name.
    Either,
    /// It begins a part of a `switch`.
    Case,
    /// A statement follows.
    Branch,
    /// A test in brackets follows, and then a statement.
    Header,
}

pub(super) fn kind(word: &str) -> Word {
    match word {
        "if" | "for" | "while" | "with" => Word::Header,
        "else" | "do" => Word::Branch,
        "case" => Word::Case,
        "await" | "yield" | "of" | "let" | "async" | "static" | "get" | "set" | "type"
        | "keyof" | "infer" | "readonly" | "unique" | "as" | "satisfies" | "is" | "asserts"
        | "declare" | "namespace" | "module" | "abstract" | "interface" | "from" | "accessor"
        | "using" | "defer" | "override" | "public" | "private" | "protected" | "implements" => {
            Word::Either
        }
        "return" | "typeof" | "instanceof" | "in" | "new" | "void" | "delete" | "throw"
        | "class" | "extends" | "function" | "import" | "export" | "default" | "var" | "const"
        | "enum" | "try" | "catch" | "finally" | "switch" => Word::Keyword,
        _ => Word::Name,
    }
}

/// Whether a statement that could be over goes on with this word.
pub(super) fn goes_on(word: &str) -> bool {
    matches!(
        word,
        "else"
            | "catch"
            | "finally"
            | "in"
            | "instanceof"
            | "of"
            | "as"
            | "satisfies"
            | "is"
            | "extends"
            | "implements"
            | "from"
    )
}

/// The sign that `text` begins with: as long as it can be.
pub(super) fn sign(text: &str) -> &str {
    const LONG: [&str; 33] = [
        ">>>=", "...", "===", "!==", "**=", "<<=", ">>=", ">>>", "&&=", "||=", "??=", "=>", "==",
        "!=", "<=", ">=", "&&", "||", "??", "?.", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=",
        "|=", "^=", "<<", ">>", "**",
    ];
    let found = LONG.iter().find(|sign| text.starts_with(**sign)).map(|sign| sign.len());
    let one = text.chars().next().map_or(0, char::len_utf8);
    text.get(..found.unwrap_or(one)).unwrap_or_default()
}

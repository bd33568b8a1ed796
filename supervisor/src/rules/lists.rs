//! Every list of the rules, once: what checks them, what holds them inside a jar, and what documents
//! them is made from these.

pub(super) mod bash;
pub(super) mod javascript;
pub(super) mod python;

use std::sync::OnceLock;

use foldhash::HashSet;

/// A list of words, written as one text.
pub(super) struct Words {
    text: &'static str,
    set: OnceLock<HashSet<&'static str>>,
    packages: OnceLock<HashSet<&'static str>>,
}

const fn words(text: &'static str) -> Words {
    Words { text, set: OnceLock::new(), packages: OnceLock::new() }
}

impl Words {
    /// Whether it has a word.
    pub(super) fn has(&self, word: &str) -> bool {
        self.set.get_or_init(|| self.iter().collect()).contains(word)
    }

    /// Whether a word of it is a module below this one.
    pub(super) fn is_package(&self, module: &str) -> bool {
        let packages =
            |word: &'static str| word.match_indices('.').map(|(at, _)| word.split_at(at).0);
        self.packages.get_or_init(|| self.iter().flat_map(packages).collect()).contains(module)
    }

    /// As they are written.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.text.split_ascii_whitespace()
    }
}

//! What a source file is, by its name.

use std::path::Path;

use super::description::Description;
use crate::Language;

impl Description {
    /// Whether a source file of this name can be code of this runtime.
    pub(super) fn is_code(&self, path: &str) -> bool {
        let extension = Path::new(path).extension().and_then(|it| it.to_str());
        let is_shared = |it| {
            let of_javascript = ["js", "mjs", "cjs", "ts", "mts", "cts"];
            self.rules == Some(Language::JavaScript) && of_javascript.contains(&it)
        };
        extension.is_some_and(|it| is_shared(it) || self.extensions.iter().any(|own| own == it))
    }

    /// What a source file of this name is written in, as far as there are rules for it.
    pub(super) fn language(&self, path: &str) -> Option<Language> {
        let extension = Path::new(path).extension().and_then(|it| it.to_str()).unwrap_or_default();
        match (self.rules?, extension) {
            (Language::JavaScript, "ts" | "mts" | "cts") => Some(Language::TypeScript),
            (language, _) => Some(language),
        }
    }
}

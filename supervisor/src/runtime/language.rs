//! What a source file is, by its name.

use std::path::Path;

use super::description::Description;
use crate::Language;

impl Description {
    /// Whether a source file of this name can be code of this runtime.
    pub(crate) fn is_code(&self, path: &str) -> bool {
        let extension = Path::new(path).extension().and_then(|it| it.to_str());
        let is_shared = |it| {
            let of_javascript = ["js", "mjs", "cjs", "ts", "mts", "cts"];
            self.rules == Some(Language::JavaScript) && of_javascript.contains(&it)
        };
        extension.is_some_and(|it| is_shared(it) || self.extensions.iter().any(|own| own == it))
    }

    /// What a source file of this name is written in, as far as there are rules for it.
    pub(crate) fn language(&self, path: &str) -> Option<Language> {
        let extension = Path::new(path).extension().and_then(|it| it.to_str()).unwrap_or_default();
        match (self.rules?, extension) {
            (Language::JavaScript, "ts" | "mts" | "cts") => Some(Language::TypeScript),
            (language, _) => Some(language),
        }
    }

    /// Whether nothing runs a file of this name, unless it is the first.
    pub(crate) fn is_data(&self, path: &str) -> bool {
        match self.rules {
            // Their rules let an import name no other file.
            Some(Language::JavaScript) => {
                let name = path.rsplit('/').next().unwrap_or(path);
                let extension = name.rsplit_once('.').map(|(_, extension)| extension);
                extension.is_some_and(|it| !self.is_code(path) && !["jsx", "tsx"].contains(&it))
            }
            // A script of theirs reads no other as code.
            Some(Language::Bash) => true,
            _ => false,
        }
    }
}

//! What the source files of a runtime are written in.

use std::path::Path;

use super::Interpreter;
use crate::Language;

impl Interpreter {
    /// What a source file of this name is written in, as far as there are rules for it.
    pub(crate) fn language(&self, path: &str) -> Option<Language> {
        let extension = Path::new(path).extension().and_then(|it| it.to_str()).unwrap_or_default();
        match (self.runtime.rules?, extension) {
            (Language::JavaScript, "ts" | "mts" | "cts") => Some(Language::TypeScript),
            (language, _) => Some(language),
        }
    }

    /// Whether nothing runs a file of this name, unless it is the first.
    pub(crate) fn is_data(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        match self.runtime.rules {
            // Their rules let an import name no other file.
            Some(Language::JavaScript) => extension.is_some_and(|extension| {
                !["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"].contains(&extension)
            }),
            // A script of theirs reads no other as code.
            Some(Language::Bash) => true,
            _ => false,
        }
    }
}

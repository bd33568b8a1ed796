//! TypeScript among the files of a run: it goes into a jar as JavaScript, under a name that says so,
//! and what imports it is told that name.

use std::collections::BTreeMap;

use super::description::Description;
use crate::source::SourceFile;
use crate::{Error, Language, RuleFinding, rules::typescript};

/// The files as a runtime of JavaScript can run them, and the one to start with.
///
/// # Errors
/// [`Error::Invalid`] where a file is not TypeScript, or two would have one name.
pub(super) fn strip(
    runtime: &Description,
    entry: String,
    files: Vec<SourceFile>,
) -> Result<(String, Vec<SourceFile>), Error> {
    let is_script = |file: &SourceFile| parts(&file.path).is_some();
    if runtime.rules != Some(Language::JavaScript) || !files.iter().any(is_script) {
        return Ok((entry, files));
    }
    let mut names = BTreeMap::new();
    for file in files.iter().filter(|file| is_script(file)) {
        let name = plain_name(file)?;
        if files.iter().any(|other| other.path == name) {
            let reason = format!("{} and {name} would be one file", file.path);
            return Err(Error::Invalid(reason));
        }
        names.insert(file.path.clone(), name);
    }
    let stripped = files.into_iter().map(|file| match names.get(&file.path) {
        None => Ok(file),
        Some(name) => {
            let rename = |import: &str| renamed(&names, &file.path, import);
            let bytes = typescript::strip(text(&file)?, &rename)
                .map_err(|finding| unreadable(&file.path, &finding))?
                .into_bytes();
            Ok(SourceFile { path: name.clone(), bytes })
        }
    });
    let files = stripped.collect::<Result<_, Error>>()?;
    Ok((names.get(&entry).cloned().unwrap_or(entry), files))
}

/// A name without the extension of a TypeScript source, and that extension. Declarations have no code.
fn parts(path: &str) -> Option<(&str, &str)> {
    let (stem, extension) = path.rsplit_once('.')?;
    let is_source = matches!(extension, "ts" | "mts" | "cts" | "tsx");
    let is_declaration = stem.rsplit('.').next() == Some("d") && stem != "d";
    (is_source && !is_declaration).then_some((stem, extension))
}

/// The name that says what kind of JavaScript it is: a module where it imports or exports.
fn plain_name(file: &SourceFile) -> Result<String, Error> {
    let (stem, extension) = parts(&file.path).unwrap_or_default();
    let plain = match extension {
        "mts" => "mjs",
        "cts" => "cjs",
        "tsx" => {
            let reason = format!("{}: there is no JSX here; write plain TypeScript", file.path);
            return Err(Error::Invalid(reason));
        }
        _ => {
            let found = typescript::is_module(text(file)?);
            if found.map_err(|finding| unreadable(&file.path, &finding))? { "mjs" } else { "js" }
        }
    };
    Ok(format!("{stem}.{plain}"))
}

/// What an import in `importer` names once types are gone, if it names TypeScript: with its
/// extension, with that of the JavaScript it becomes, or with none.
fn renamed(names: &BTreeMap<String, String>, importer: &str, import: &str) -> Option<String> {
    let is_relative = import.starts_with("./") || import.starts_with("../");
    let target = is_relative.then(|| beside(importer, import))??;
    let swapped = [("js", "ts"), ("mjs", "mts"), ("cjs", "cts")].iter().filter_map(|(js, ts)| {
        let stem = target.strip_suffix(js)?.strip_suffix('.')?;
        Some((format!("{stem}.{ts}"), js.len() + 1, ""))
    });
    let given = parts(&target).map(|(_, extension)| (target.clone(), extension.len() + 1, ""));
    let added = ["ts", "mts", "cts"].iter().flat_map(|ts| {
        [(format!("{target}.{ts}"), 0, ""), (format!("{target}/index.{ts}"), 0, "/index")]
    });
    given.into_iter().chain(swapped).chain(added).find_map(|(path, cut, index)| {
        let (_, plain) = names.get(&path)?.rsplit_once('.')?;
        let stem = import.get(..import.len() - cut)?.trim_end_matches('/');
        Some(format!("{stem}{index}.{plain}"))
    })
}

/// The path that an import names, from where all files lie.
fn beside(importer: &str, import: &str) -> Option<String> {
    let mut path: Vec<_> = importer.split('/').collect();
    path.pop();
    for part in import.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(path.pop()?),
            part => path.push(part),
        }
    }
    Some(path.join("/"))
}

fn text(file: &SourceFile) -> Result<&str, Error> {
    std::str::from_utf8(&file.bytes)
        .map_err(|_| Error::Invalid(format!("{}: source code is not valid UTF-8", file.path)))
}

fn unreadable(path: &str, finding: &RuleFinding) -> Error {
    let RuleFinding { line, column, message, advice, .. } = finding;
    Error::Invalid(format!("{path}: line {line}, column {column}: {message}; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_find_what_they_named() {
        let names =
            [("lib/a.ts", "lib/a.mjs"), ("lib/index.ts", "lib/index.js"), ("b.mts", "b.mjs")];
        let names = names.map(|(from, to)| (from.to_owned(), to.to_owned())).into();
        let cases = [
            ("main.ts", "./lib/a", Some("./lib/a.mjs")),
            ("main.ts", "./lib/a.ts", Some("./lib/a.mjs")),
            ("main.ts", "./lib/a.js", Some("./lib/a.mjs")),
            ("main.ts", "./lib", Some("./lib/index.js")),
            ("main.ts", "./lib/", Some("./lib/index.js")),
            ("lib/a.ts", "../b", Some("../b.mjs")),
            ("lib/a.ts", "../b.mjs", Some("../b.mjs")),
            ("lib/a.ts", ".", None),
            ("main.ts", "./c", None),
            ("main.ts", "../lib/a", None),
            ("main.ts", "lib/a", None),
        ];
        for (importer, import, expected) in cases {
            assert_eq!(renamed(&names, importer, import).as_deref(), expected, "{import}");
        }
    }
}

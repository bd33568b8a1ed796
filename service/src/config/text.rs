//! The table as people read it.

use belljar::Mode;
use serde_json::{Map, Value};

use super::Config;
use super::kind::Kind;
use super::layers::{Loaded, Origin, dotted};
use super::table::{ANY_NAME, Path, Row, SECTIONS, Section, rows};

/// How wide comments are, without their mark.
const COLUMNS: usize = 96;

/// Every key, as a person asks for it.
pub(crate) fn explanation() -> String {
    let defaults = defaults();
    let mut text = String::new();
    for section in &SECTIONS {
        text.extend(["[", &section.path.join("."), "]  ", section.meaning, "\n"]);
        for key in section.keys {
            let row = Row { section, key };
            text.extend(["  ", key.name, "  ", key.meaning, "\n"]);
            let default = row.default(&defaults);
            text.extend(["      ", &key.kind.name(), "; default: ", &default, "\n"]);
            let live = key.is_live.then(|| "SIGHUP applies it".to_owned());
            let how = row.variables().chain(live).collect::<Vec<_>>().join("; ");
            if !how.is_empty() {
                text.extend(["      ", &how, "\n"]);
            }
        }
        text.push('\n');
    }
    text.extend([AFTERWARDS, "\n"]);
    text
}

/// A file that says what is so without it.
pub(crate) fn default_file() -> String {
    let defaults = defaults();
    let mut text = String::from("# What is so without this file.\n");
    for section in &SECTIONS {
        text.push('\n');
        comment(&mut text, section.meaning);
        let mark = if section.path.contains(&ANY_NAME) { "# " } else { "" };
        text.extend([mark, "[", &section.path.join("."), "]\n"]);
        for key in section.keys {
            let row = Row { section, key };
            let usual = key.usually.map(|words| format!(" By default {words}."));
            comment(&mut text, &format!("{}{}", key.meaning, usual.unwrap_or_default()));
            let place: Vec<_> = if row.is_pattern() {
                section.heir_of.iter().copied().chain([key.name]).collect()
            } else {
                row.path().collect()
            };
            let value = place.iter().try_fold(&defaults, |value, name| value.get(name));
            let value = value.map(|value| key.kind.shown(value)).unwrap_or_default();
            text.extend(["# ", key.name, " = ", &value, "\n"]);
        }
    }
    text
}

/// The reference, as it stands in the documents.
#[cfg(test)]
pub(crate) fn markdown() -> String {
    let defaults = defaults();
    let mut text = String::from(BEFORE);
    for section in &SECTIONS {
        text.extend(["\n## `[", &section.path.join("."), "]`\n", section.meaning, "\n\n"]);
        text.push_str("| key | value | default | environment | SIGHUP | meaning |\n");
        text.push_str("|---|---|---|---|---|---|\n");
        for key in section.keys {
            let row = Row { section, key };
            let default = row.default(&defaults);
            let default = if key.usually.is_some() { default } else { format!("`{default}`") };
            let variable: Vec<_> = row.variables().map(|name| format!("`{name}`")).collect();
            let variable = variable.join(" or ");
            let live = if key.is_live { "yes" } else { "" };
            let cells = [key.name, &key.kind.name(), &default, &variable, live, key.meaning];
            text.extend([format!("| `{}` |", cells[0])]);
            text.extend(cells.iter().skip(1).map(|cell| format!(" {cell} |")));
            text.push('\n');
        }
    }
    text
}

/// Every value and where it comes from: a line each, or JSON.
pub(crate) fn in_force(loaded: &Loaded, as_json: bool) -> String {
    let values = serde_json::to_value(&loaded.config).unwrap_or_default();
    let at = |path: &Path| path.iter().try_fold(&values, |value, name| value.get(name));
    let mut text = String::new();
    let mut origins = Map::new();
    let strange = strange_modes(loaded);
    for section in &SECTIONS {
        for (path, origin) in of(section, loaded) {
            let kind = rows().find(|row| row.matches(path)).map(|row| row.key.kind);
            let shown = kind.zip(at(path)).map(|(kind, value)| kind.shown(value));
            let name = dotted(path);
            let shown = shown.unwrap_or_default();
            let set = format!("{name} = {shown}");
            let is_strange = strange.contains(&name);
            let note = if is_strange { "; no such mode, and so \"off\"" } else { "" };
            text.extend([format!("{set:<44} # {origin}{note}\n")]);
            origins.insert(name, Value::from(origin.to_string()));
        }
    }
    if as_json {
        let file = loaded.file.as_ref().map(|path| path.display().to_string());
        let all = serde_json::json!({ "file": file, "values": values, "origins": origins });
        return format!("{}\n", crate::json::line(&all));
    }
    text
}

/// The keys whose word is no mode, which the strictest one stands for.
pub(crate) fn strange_modes(loaded: &Loaded) -> Vec<String> {
    let values = serde_json::to_value(&loaded.config).unwrap_or_default();
    let is_strange = |path: &&Path| {
        let is_mode = |row: &Row| row.matches(path) && row.key.kind == Kind::Strictness;
        let value = path.iter().try_fold(&values, |value, name| value.get(name));
        let word = value.and_then(Value::as_str).filter(|_| rows().any(|row| is_mode(&row)));
        word.is_some_and(|word| Mode::from_word(word).name() != word)
    };
    loaded.origins.keys().filter(is_strange).map(|path| dotted(path)).collect()
}

const AFTERWARDS: &str = "\
The file is that of --config, of BELLJAR_CONFIG, $XDG_CONFIG_HOME/belljar/config.toml or
/etc/belljar/config.toml, whichever comes first. The environment goes before the file, and options
before the environment.";

#[cfg(test)]
const BEFORE: &str = "\
# Configuration

One TOML file: that of `--config`, of `BELLJAR_CONFIG`, `$XDG_CONFIG_HOME/belljar/config.toml` (`~/.config`
without the variable) or `/etc/belljar/config.toml`, whichever comes first. A file that others may write to
is refused. A variable of the environment, if it is not empty, goes before the file, and an option before
the environment; `--set KEY=VALUE` is an option for every key. A list in a variable or an option has commas.

`belljar config` prints what is in force and where each value comes from, `belljar config --explain` this
reference, and `belljar config --default` a file with every key.
";

fn of<'a>(
    section: &'static Section,
    loaded: &'a Loaded,
) -> impl Iterator<Item = (&'a Path, &'a Origin)> {
    let keys = section.keys.iter().map(move |key| Row { section, key });
    keys.flat_map(|row| loaded.origins.iter().filter(move |(path, _)| row.matches(path)))
}

fn defaults() -> Value {
    serde_json::to_value(Config::default()).unwrap_or_default()
}

fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split(' ') {
        if line.len() + word.len() > COLUMNS {
            text.extend([&line, "\n"]);
            line.replace_range(1.., "");
        }
        line.extend([" ", word]);
    }
    text.extend([&line, "\n"]);
}

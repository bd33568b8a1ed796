//! Defaults, the file over them, the environment over it, and options over all.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path as FilePath, PathBuf};

use belljar::Error;
use nix::unistd::geteuid;
use serde_json::{Map, Value};
use toml::Value as Written;

use super::table::{ANY_NAME, Key, Path, Row, SECTIONS, Section, rows};
use super::{Config, host};

/// Longer than anybody writes.
const MOST_FILE_BYTES: u64 = 1 << 20;
const LONGEST_NAME: usize = 128;
const ANYBODY_MAY_WRITE: u32 = 0o002;

/// Where to look, again and again: SIGHUP reads everything anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// `--config` or `--file`.
    pub(crate) file: Option<PathBuf>,
    /// `KEY=VALUE` of `--set`.
    pub(crate) set: Vec<String>,
}

/// What is in force, and why.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// The file, if there is one.
    pub(crate) file: Option<PathBuf>,
    pub(crate) origins: BTreeMap<Path, Origin>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    /// Of a name, which has it from this section.
    Inherited(&'static [&'static str]),
    File(PathBuf),
    Environment(String),
    Option,
}

struct Layers {
    values: BTreeMap<Path, Value>,
    origins: BTreeMap<Path, Origin>,
}

impl Places {
    /// # Errors
    /// [`Error::Invalid`] naming the file, the variable or the option, and the key.
    pub(crate) fn load(&self) -> Result<Loaded, Error> {
        self.load_with(|name| env::var_os(name))
    }

    pub(super) fn load_with(
        &self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Loaded, Error> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let mut layers = Layers::default();
        let file = self.find(variable)?;
        if let Some((path, text)) = &file {
            layers
                .add_file(path, text)
                .map_err(|what| Error::Invalid(format!("{}: {what}", path.display())))?;
        }
        layers.add_environment(variable)?;
        for set in &self.set {
            layers
                .add_option(set)
                .map_err(|what| Error::Invalid(format!("--set {set}: {what}")))?;
        }
        layers.complete_names();
        let broken = |error| Error::Internal("configuration".to_owned(), io::Error::other(error));
        let config: Config = serde_json::from_value(layers.tree()).map_err(broken)?;
        config.check()?;
        Ok(Loaded { config, file: file.map(|(path, _)| path), origins: layers.origins })
    }

    /// The file that is named, or else the first usual one that is there.
    fn find(
        &self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<(PathBuf, String)>, Error> {
        let named = self.file.clone().or_else(|| variable("BELLJAR_CONFIG").map(PathBuf::from));
        let candidates = match &named {
            Some(path) => vec![path.clone()],
            None => host::usual_files(variable),
        };
        for path in candidates {
            match read(&path) {
                Ok(text) => return Ok(Some((path, text))),
                Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let path = path.display();
                    return Err(Error::Invalid(format!("cannot read {path}: {error}")));
                }
            }
        }
        Ok(None)
    }
}

impl Layers {
    fn add_file(&mut self, path: &FilePath, text: &str) -> Result<(), String> {
        let table = text.parse::<toml::Table>().map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("line {}: {}", before.matches('\n').count() + 1, error.message())
        })?;
        let mut leaves = Vec::new();
        flatten(&mut Vec::new(), &Written::Table(table), &mut leaves);
        for (key, written) in leaves {
            let row = find(&key)?;
            let value = row.key.kind.read(&written);
            let value = value.map_err(|what| format!("`{}`: {what}", dotted(&key)))?;
            self.put(key, value, Origin::File(path.to_owned()));
        }
        Ok(())
    }

    fn add_environment(
        &mut self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<(), Error> {
        for row in rows() {
            let found = row.variables().find_map(|name| variable(&name).map(|value| (name, value)));
            let Some((name, value)) = found else { continue };
            let word = value.to_str().ok_or_else(|| "write UTF-8".to_owned());
            let value = word
                .and_then(|word| row.key.kind.word(word))
                .map_err(|what| Error::Invalid(format!("{name}: `{}`: {what}", row.dotted())))?;
            self.put(row.path().map(ToOwned::to_owned).collect(), value, Origin::Environment(name));
        }
        Ok(())
    }

    fn add_option(&mut self, set: &str) -> Result<(), String> {
        let (key, word) = set.split_once('=').ok_or("write KEY=VALUE")?;
        let key: Path = key.split('.').map(ToOwned::to_owned).collect();
        let row = find(&key)?;
        let value =
            row.key.kind.word(word).map_err(|what| format!("`{}`: {what}", dotted(&key)))?;
        self.put(key, value, Origin::Option);
        Ok(())
    }

    /// What one with a name has none of its own of, it has from the section that it is an heir of.
    fn complete_names(&mut self) {
        let patterns = SECTIONS.iter().filter(|section| section.path.contains(&ANY_NAME));
        for section in patterns {
            let mut names: Vec<Path> =
                self.values.keys().filter_map(|key| is_of(key, section)).collect();
            names.dedup();
            let all = names.iter().flat_map(|name| section.keys.iter().map(move |key| (name, key)));
            for (prefix, Key { name, .. }) in all {
                let key: Path = prefix.iter().cloned().chain([(*name).to_owned()]).collect();
                let usual = section.heir_of.iter().chain([name]).map(|part| (*part).to_owned());
                if let Some(value) = self.values.get(&usual.collect::<Path>()).cloned()
                    && !self.values.contains_key(&key)
                {
                    self.put(key, value, Origin::Inherited(section.heir_of));
                }
            }
        }
    }

    fn put(&mut self, key: Path, value: Value, origin: Origin) {
        self.origins.insert(key.clone(), origin);
        self.values.insert(key, value);
    }

    fn tree(&self) -> Value {
        let mut tree = serde_json::to_value(Config::default()).unwrap_or_default();
        for (key, value) in &self.values {
            let mut place = &mut tree;
            for name in key {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                let Value::Object(map) = place else { break };
                place = map.entry(name).or_insert(Value::Null);
            }
            *place = value.clone();
        }
        tree
    }
}

impl Default for Layers {
    fn default() -> Self {
        let mut layers = Self { values: BTreeMap::new(), origins: BTreeMap::new() };
        let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
        for row in rows().filter(|row| !row.is_pattern()) {
            let value = row.path().try_fold(&defaults, |value, name| value.get(name));
            if let Some(value) = value {
                let key = row.path().map(ToOwned::to_owned).collect();
                layers.put(key, value.clone(), Origin::Default);
            }
        }
        layers
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::Inherited(section) => out.write_str(&section.join(".")),
            Self::File(path) => write!(out, "file {}", path.display()),
            Self::Environment(name) => write!(out, "environment {name}"),
            Self::Option => out.write_str("option --set"),
        }
    }
}

/// The names before the last one, if it is a key of this section.
fn is_of(key: &[String], section: &'static Section) -> Option<Path> {
    let mut rows = section.keys.iter().map(|key| Row { section, key });
    let (_, prefix) = key.split_last().filter(|_| rows.any(|row| row.matches(key)))?;
    Some(prefix.to_vec())
}

/// `tenants.named."a.b".weight`.
pub(crate) fn dotted(key: &[String]) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let quoted = key.iter().map(|name| {
        let is_plain = !name.is_empty() && name.chars().all(is_bare);
        if is_plain { name.clone() } else { crate::json::line(name) }
    });
    quoted.collect::<Vec<_>>().join(".")
}

/// Everything that is no table; and tables without anything, which would not be seen otherwise.
fn flatten(prefix: &mut Path, written: &Written, leaves: &mut Vec<(Path, Written)>) {
    match written {
        Written::Table(table) if !table.is_empty() || is_section(prefix) => {
            for (name, written) in table {
                prefix.push(name.clone());
                flatten(prefix, written, leaves);
                prefix.pop();
            }
        }
        _ => leaves.push((prefix.clone(), written.clone())),
    }
}

/// Whether keys are below it.
fn is_section(prefix: &[String]) -> bool {
    rows().any(|row| {
        let is_same = |(own, given): (&&str, &String)| *own == ANY_NAME || own == given;
        prefix.len() <= row.section.path.len() && row.section.path.iter().zip(prefix).all(is_same)
    })
}

fn find(key: &[String]) -> Result<Row, String> {
    if let Some(row) = rows().find(|row| row.matches(key)) {
        let name = key.iter().zip(row.path()).find(|(_, own)| *own == ANY_NAME);
        let is_name = |name: &str| {
            !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains(char::is_control)
        };
        return match name {
            Some((name, _)) if !is_name(name) => Err(format!("`{}`: no name", dotted(key))),
            _ => Ok(row),
        };
    }
    let given = dotted(key);
    let closest = rows().map(|row| {
        let meant: Path = row
            .path()
            .zip(key.iter().map(Some).chain([None; 4]))
            .map(|(own, name)| {
                name.filter(|_| own == ANY_NAME).map_or_else(|| own.to_owned(), Clone::clone)
            })
            .collect();
        let meant = dotted(&meant);
        (strsim::osa_distance(&given, &meant), meant)
    });
    let (distance, meant) = closest.min_by_key(|(distance, _)| *distance).unwrap_or_default();
    let hint = if distance <= (given.len() / 4).clamp(2, 6) {
        format!("did you mean `{meant}`?")
    } else {
        "belljar config --explain lists those that there are".to_owned()
    };
    Err(format!("unknown key `{given}`; {hint}"))
}

/// Of this user or of root, as it says who may connect.
fn read(path: &FilePath) -> io::Result<String> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    let is_trusted = found.uid() == geteuid().as_raw() || found.uid() == 0;
    if found.is_file() && (!is_trusted || found.mode() & ANYBODY_MAY_WRITE != 0) {
        return Err(io::Error::other("others may write to it"));
    }
    let mut text = String::new();
    file.take(MOST_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_FILE_BYTES {
        return Err(io::Error::other("longer than 1 MiB"));
    }
    Ok(text)
}

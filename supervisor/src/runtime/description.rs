use std::collections::BTreeMap;

use belljar_protocol::Delivery;
use serde::Deserialize;

use super::root;
use crate::Language;

/// One runtime, as its TOML file describes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// The word that callers use.
    pub(crate) name: String,
    /// What a message calls the interpreter.
    pub(super) title: String,
    /// What to install when it is missing, in words.
    pub(super) package: String,
    /// Whose rules its sources have; none, and every mode but full is refused.
    pub(super) rules: Option<Language>,
    /// Whether it has none of the modules that the list of those rules names.
    #[serde(default)]
    pub(crate) lacks_library: bool,
    /// File name extensions without the dot.
    #[serde(default)]
    pub(super) extensions: Vec<String>,
    /// Interpreters named by a `#!` line, without their version.
    #[serde(default)]
    pub(super) shebangs: Vec<String>,
    #[serde(default)]
    pub(super) accepts: Accepts,
    /// The file name that a snippet gets.
    #[serde(default)]
    pub(super) entry: String,
    /// The file name of a snippet whose first statement begins with one of these.
    pub(super) module: Option<Module>,
    /// Program names to look up, the best first.
    #[serde(default)]
    pub(super) find: Vec<String>,
    /// Whether to look beside the running executable before looking anywhere else.
    #[serde(default)]
    pub(super) beside: bool,
    /// The interpreter within a directory that an operator names.
    pub(super) directory_program: Option<String>,
    /// Arguments that make the interpreter print facts, one `key=value` a line.
    #[serde(default)]
    pub(super) ask: Vec<String>,
    /// The lowest version that is accepted.
    #[serde(default)]
    pub(super) minimum: Version,
    pub(super) argv: Vec<Template>,
    pub(super) read_only: Vec<Place>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, Template>,
    /// Variables to which the caller's value is appended after a colon.
    #[serde(default)]
    pub(super) joined: Vec<String>,
    /// Files written into the jar, by absolute path.
    #[serde(default)]
    pub(super) files: BTreeMap<String, Contents>,
    /// More of them, for runs that have secrets.
    #[serde(default)]
    pub(super) secret_files: BTreeMap<String, Contents>,
    /// Whether files under `/work` may be executed.
    #[serde(default)]
    pub(super) exec_scratch: bool,
    pub(super) delivery: DeliveryWord,
    /// How its interpreter can be up before there is anything to run.
    pub(super) prime: Option<Prime>,
    /// The guest that serves a session.
    pub(super) session: Option<Guest>,
    /// The guest that runs a script and tells more of it than its output.
    pub(super) rich: Option<Guest>,
    /// The guest that has a program keep to its rules while it runs. It is given those, as one
    /// text, and what would have been started.
    pub(super) guard: Option<Guest>,
}

/// What is started in place of the entry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Guest {
    pub(super) script: Vec<Template>,
    /// Files beside those of every run.
    #[serde(default)]
    pub(super) files: BTreeMap<String, Contents>,
}

/// An interpreter that waits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prime {
    pub(super) kind: PrimeKind,
    pub(super) argv: Vec<Template>,
    /// Modules that a template has imported.
    #[serde(default)]
    pub(super) preload: Vec<String>,
    /// Files beside those of every run.
    #[serde(default)]
    pub(super) files: BTreeMap<String, Contents>,
    /// What is otherwise than in the environment of a program that is started for its run.
    #[serde(default)]
    pub(super) env: BTreeMap<String, Template>,
}

/// How many runs an interpreter that waits is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PrimeKind {
    /// One: it is executed ahead of each.
    Program,
    /// All: it is forked for each.
    Template,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Accepts {
    #[default]
    Source,
    Program,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DeliveryWord {
    Descriptor,
    Files,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Module {
    pub(super) entry: String,
    pub(super) starts: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(super) enum Contents {
    /// One of belljar's own bootstraps.
    Guest(String),
    Text(String),
}

/// Text with slots for what is known only when a run is launched.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Template(pub(super) Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    /// The interpreter's path in the jar.
    Program,
    /// The file name of the program.
    Name,
    /// The path of the first file to run.
    Entry,
    /// All arguments of the caller; stands alone.
    Args,
    /// How many threads a numeric library should start.
    Threads,
    /// So many percent of the memory limit.
    MemoryBytes(u64),
    MemoryMib(u64),
}

/// Something of the host that a jar shows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Place {
    Path(String),
    Program,
    Prefix,
    Directories,
    Group(&'static [&'static str]),
    Libraries,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Version(Vec<u32>);

impl Description {
    /// Parses and checks one file; the error is one line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let this: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = 1 + before.matches('\n').count();
            format!("line {line}: {}", error.message().replace('\n', " "))
        })?;
        this.check()?;
        Ok(this)
    }

    fn check(&self) -> Result<(), String> {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.+".contains(c);
        if !self.name.starts_with(|c: char| c.is_ascii_lowercase()) || !self.name.chars().all(word)
        {
            return Err(format!("name {:?} is not a lower-case word", self.name));
        }
        if self.argv.is_empty() {
            return Err("argv is empty".to_owned());
        }
        let module = self.module.as_ref().map(|module| &module.entry);
        if self.accepts == Accepts::Source {
            if self.find.is_empty() {
                return Err("find names no program".to_owned());
            }
            for entry in std::iter::once(&self.entry).chain(module) {
                if entry.is_empty() || entry.contains('/') || entry.starts_with('.') {
                    return Err(format!("entry {entry:?} is not a file name"));
                }
            }
        }
        if let Some(program) = self.find.iter().find(|name| name.is_empty() || name.contains('/')) {
            return Err(format!("find: {program:?} is not a program name"));
        }
        if let Some(name) =
            self.env.keys().find(|name| name.is_empty() || name.contains(['=', '\0']))
        {
            return Err(format!("env: {name:?} is not a variable name"));
        }
        if self.env.values().any(|value| value.0.contains(&Part::Args)) {
            return Err("env: {args} has a meaning in argv only".to_owned());
        }
        let guests =
            self.session.iter().chain(&self.rich).chain(&self.guard).flat_map(|guest| &guest.files);
        for (path, contents) in self.files.iter().chain(&self.secret_files).chain(guests) {
            if !path.starts_with("/run/belljar/") || path.contains("/../") {
                return Err(format!("files: {path:?} is not below /run/belljar"));
            }
            contents.bytes()?;
        }
        Ok(())
    }
}

impl Contents {
    pub(super) fn bytes(&self) -> Result<&[u8], String> {
        match self {
            Self::Text(text) => Ok(text.as_bytes()),
            Self::Guest(name) => GUESTS
                .iter()
                .find_map(|(known, text)| (known == name).then_some(text.as_bytes()))
                .ok_or_else(|| format!("files: there is no guest {name:?}")),
        }
    }
}

const GUESTS: [(&str, &str); 11] = [
    ("bash/guest.sh", include_str!("../../../worker/guests/bash/guest.sh")),
    ("node/guard.cjs", include_str!("../../../worker/guests/node/guard.cjs")),
    ("node/guest.cjs", include_str!("../../../worker/guests/node/guest.cjs")),
    ("python/guard.py", include_str!("../../../worker/guests/python/guard.py")),
    ("python/stand_ins.py", include_str!("../../../worker/guests/python/stand_ins.py")),
    ("python/guest.py", include_str!("../../../worker/guests/python/guest.py")),
    ("python/sitecustomize.py", include_str!("../../../worker/guests/python/sitecustomize.py")),
    ("python/belljar.py", include_str!("../../../worker/guests/python/belljar.py")),
    ("python/template.py", include_str!("../../../worker/guests/python/template.py")),
    ("node/prime.cjs", include_str!("../../../worker/guests/node/prime.cjs")),
    ("node/bootstrap.cjs", include_str!("../../../worker/guests/node/bootstrap.cjs")),
];

impl From<DeliveryWord> for Delivery {
    fn from(word: DeliveryWord) -> Self {
        match word {
            DeliveryWord::Descriptor => Self::Descriptor,
            DeliveryWord::Files => Self::Files,
        }
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.contains('\0') {
            return Err("a template contains a NUL".to_owned());
        }
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (slot, after) =
                after.split_once('}').ok_or_else(|| format!("{text:?}: a {{ is never closed"))?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::parse(slot)?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.len() > 1 && parts.contains(&Part::Args) {
            return Err(format!("{text:?}: {{args}} has to stand alone"));
        }
        Ok(Self(parts))
    }
}

impl Part {
    fn parse(slot: &str) -> Result<Self, String> {
        let unknown = || {
            format!(
                "unknown placeholder {{{slot}}}; known: {{program}} {{name}} {{entry}} {{args}} \
                 {{threads}} {{memory_bytes}} {{memory_mib}}, the last two also with a percentage \
                 as in {{memory_mib:62}}"
            )
        };
        let (word, percent) = match slot.split_once(':') {
            Some((word @ ("memory_bytes" | "memory_mib"), percent)) => {
                let percent = percent.parse::<u64>().map_err(|_| unknown())?;
                (word, percent.clamp(1, 100))
            }
            Some(_) => return Err(unknown()),
            None => (slot, 100),
        };
        Ok(match word {
            "program" => Self::Program,
            "name" => Self::Name,
            "entry" => Self::Entry,
            "args" => Self::Args,
            "threads" => Self::Threads,
            "memory_bytes" => Self::MemoryBytes(percent),
            "memory_mib" => Self::MemoryMib(percent),
            _ => return Err(unknown()),
        })
    }
}

impl TryFrom<String> for Place {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(match text.as_str() {
            "{program}" => Self::Program,
            "{prefix}" => Self::Prefix,
            "{directories}" => Self::Directories,
            "@libraries" => Self::Libraries,
            "@alternatives" => Self::Group(root::ALTERNATIVES),
            "@certificates" => Self::Group(root::CERTIFICATES),
            "@timezones" => Self::Group(root::TIMEZONES),
            "@locale" => Self::Group(root::LOCALE),
            path if root::is_plain(path) && !root::is_too_wide(path) => Self::Path(text),
            path if path.starts_with('/') => {
                return Err(format!("read_only: {path} is more than a payload should see"));
            }
            other => {
                return Err(format!(
                    "read_only: {other:?} is neither an absolute path nor one of {{program}} \
                     {{prefix}} {{directories}} @libraries @alternatives @certificates @timezones \
                     @locale"
                ));
            }
        })
    }
}

impl Version {
    /// The numbers a text begins with; whatever follows them (`rc1`, `+deb`) does not count.
    pub(super) fn of(text: &str) -> Self {
        let number = |part: &str| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part.get(..digits).and_then(|digits| digits.parse().ok())
        };
        Self(text.split('.').map_while(number).collect())
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let version = Self::of(&text);
        if version.0.is_empty() { Err(format!("{text:?} is not a version")) } else { Ok(version) }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.iter().map(u32::to_string).collect::<Vec<_>>().join("."))
    }
}

//! The request of a run in JSON, and what a sandbox makes of it.

use std::collections::BTreeMap;

use belljar::{Code, Error, Floor, Limits, Mode, Source, SourceFile, StartChoice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::allowed::{bound, lower, mode, network, words};
use super::data::{Data, Encoded, Encoding};
use super::{Labels, LimitsRow};

const MOST_LABELS: usize = 16;
const MOST_LABEL_BYTES: usize = 128;

/// A run that somebody asks for. Holds secrets: never printed.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    runtime: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    args: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stdin: Option<Data>,
    #[serde(default)]
    stdin_open: bool,
    #[serde(default)]
    rich: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    env: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<String, Data>,
    #[serde(default)]
    limits: LimitsRow,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    network: Vec<String>,
    /// Secrets that stay outside, each for the headers of requests to one granted place.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secret_hosts: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    collect: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    floor: Option<String>,
    #[serde(default)]
    start: StartWord,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: Labels,
    /// Files that came beside the request, as they are.
    #[serde(skip)]
    beside: Vec<SourceFile>,
}

/// What a request asks for, in the words of the library.
pub(crate) struct Wish {
    pub(crate) runtime: String,
    pub(crate) limits: Limits,
    pub(crate) floor: Floor,
    pub(crate) source: Source,
    pub(crate) labels: Labels,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRow {
    path: String,
    content: String,
    #[serde(default)]
    encoding: Encoding,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StartWord {
    #[default]
    Any,
    Fresh,
    Cold,
}

impl Request {
    /// The request for a source, with those limits that differ from what the service has.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a program, which has no place in a request.
    pub(crate) fn new(
        runtime: String,
        source: Source,
        limits: LimitsRow,
        floor: Floor,
    ) -> Result<Self, Error> {
        let (code, entry, mut files) = match source.code {
            Code::Snippet(code) => (Some(code), None, Vec::new()),
            Code::Files { files, entry } => (None, Some(entry), files),
            Code::Program(path) => {
                let what = format!("{} is an executable of this side", path.display());
                return Err(Error::Invalid(what));
            }
        };
        files.extend(source.files);
        let secrets = source.secrets.iter();
        Ok(Self {
            runtime,
            code,
            files: files.into_iter().map(Into::into).collect(),
            entry,
            args: source.args,
            stdin: Some(source.stdin).filter(|it| !it.is_empty()).map(|it| Data::new(&it)),
            env: source.env.into_iter().collect(),
            secrets: secrets.map(|(name, value)| (name.to_owned(), Data::new(value))).collect(),
            network: words(&source.network),
            secret_hosts: source
                .bound_secrets
                .into_iter()
                .map(|(name, place)| (name, place.to_string()))
                .collect(),
            mode: (source.mode != Mode::Full).then(|| source.mode.name().to_owned()),
            limits,
            collect: source.collect,
            floor: Some(floor.name().to_owned()),
            start: source.start.into(),
            ..Self::default()
        })
    }

    /// Wants no more of the language than `most`.
    pub(crate) fn lower(&mut self, most: Mode) {
        lower(&mut self.mode, most);
    }

    /// Adds a file that came beside the request.
    pub(crate) fn add(&mut self, path: String, bytes: Vec<u8>) {
        self.beside.push(SourceFile { path, bytes });
    }

    /// # Errors
    /// [`Error::Invalid`] for what makes no sense, [`Error::Refused`] for a mode that is none.
    pub(crate) fn understand(self, usual: &Limits) -> Result<Wish, Error> {
        let floor = match self.floor.as_deref() {
            None => Floor::STRICT,
            Some(word) => floor(word).map_err(|why| Error::Invalid(format!("floor: {why}")))?,
        };
        let mut files = self.files.into_iter().map(FileRow::file).collect::<Result<Vec<_>, _>>()?;
        files.extend(self.beside);
        let mut source = program(self.code, files, self.entry)?;
        source.mode = mode(self.mode.as_deref())?;
        source.network = network(&self.network)?;
        let is_secret = |name: &str| self.secrets.contains_key(name);
        source.bound_secrets = bound(&self.secret_hosts, is_secret, &source.network)
            .map_err(|why| invalid("secret_hosts", &why))?;
        source.args = self.args;
        source.env = self.env.into_iter().collect();
        source.collect = self.collect;
        source.start = self.start.into();
        let stdin = self.stdin.map(Data::bytes).transpose();
        source.stdin = stdin.map_err(|why| invalid("stdin", &why))?.unwrap_or_default();
        if self.rich {
            source = source.rich();
        }
        if self.stdin_open {
            source = source.stdin_open();
        }
        for (name, value) in self.secrets {
            let value = value.bytes().map_err(|why| invalid("a secret", &why))?;
            source = source.secret(&name, value)?;
        }
        check(&self.labels)?;
        let (runtime, limits, labels) = (self.runtime, self.limits.over(usual), self.labels);
        Ok(Wish { runtime, limits, floor, source, labels })
    }
}

/// # Errors
/// [`Error::Invalid`] when there are too many of them, or one is too long.
pub(super) fn check(labels: &Labels) -> Result<(), Error> {
    let is_short = |text: &String| text.len() <= MOST_LABEL_BYTES;
    if labels.len() > MOST_LABELS
        || !labels.iter().all(|(key, value)| is_short(key) && is_short(value))
    {
        let most = format!("at most {MOST_LABELS}, of at most {MOST_LABEL_BYTES} bytes each");
        return Err(invalid("labels", &most));
    }
    Ok(())
}

/// A floor by its name.
pub(crate) fn floor(word: &str) -> Result<Floor, String> {
    match word {
        "strict" => Ok(Floor::STRICT),
        "L5" => Ok(Floor::L5),
        "L4" => Ok(Floor::L4),
        "L3" => Ok(Floor::L3),
        "L2" => Ok(Floor::L2),
        "L1" => Ok(Floor::L1),
        _ => Err("write strict, L5, L4, L3, L2 or L1; belljar doctor explains them".to_owned()),
    }
}

/// Code, or files of which one is the code. The others are there to be read, and not bounded as
/// code is.
///
/// # Errors
/// [`Error::Invalid`] when it says both, or neither.
pub(super) fn program(
    code: Option<String>,
    mut files: Vec<SourceFile>,
    entry: Option<String>,
) -> Result<Source, Error> {
    let mut source = match (code, entry) {
        (Some(code), None) => Source::code(code),
        (None, Some(entry)) => {
            let at = files
                .iter()
                .position(|file| file.path == entry)
                .ok_or_else(|| Error::Invalid(format!("entry {entry:?} is not among the files")))?;
            Source::files(vec![files.remove(at)], entry)
        }
        (Some(_), Some(_)) => return Err(invalid("code", "say code or entry, not both")),
        (None, None) => {
            return Err(invalid("code", "nothing to run: say code, or files and entry"));
        }
    };
    source.files = files;
    Ok(source)
}

pub(super) fn invalid(what: &str, why: &str) -> Error {
    Error::Invalid(format!("{what}: {why}"))
}

impl FileRow {
    pub(super) fn file(self) -> Result<SourceFile, Error> {
        let bytes = self.encoding.decode(self.content);
        let bytes = bytes.map_err(|why| invalid(&format!("file {:?}", self.path), &why))?;
        Ok(SourceFile { path: self.path, bytes })
    }
}

impl From<StartWord> for StartChoice {
    fn from(word: StartWord) -> Self {
        match word {
            StartWord::Any => Self::Any,
            StartWord::Fresh => Self::Fresh,
            StartWord::Cold => Self::Cold,
        }
    }
}

impl From<StartChoice> for StartWord {
    fn from(choice: StartChoice) -> Self {
        match choice {
            StartChoice::Any => Self::Any,
            StartChoice::Fresh => Self::Fresh,
            StartChoice::Cold => Self::Cold,
        }
    }
}

impl From<SourceFile> for FileRow {
    fn from(file: SourceFile) -> Self {
        let Encoded { content, encoding } = Encoded::new(&file.bytes);
        Self { path: file.path, content, encoding }
    }
}

#[cfg(test)]
mod tests {
    use belljar::{Grant, Network};

    use super::*;

    fn understood(json: &str) -> Result<Wish, String> {
        let request: Request = serde_json::from_str(json).map_err(|error| error.to_string())?;
        request.understand(&Limits::strict()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_source_travels_unharmed() {
        let main = SourceFile { path: "main.py".to_owned(), bytes: b"print(1)".to_vec() };
        let place: Grant = "a.test:443".parse().unwrap();
        let source = Source::files(vec![main], "main.py")
            .arg("-x")
            .stdin(b"\xff".to_vec())
            .env("A", "b")
            .file("data/in.bin", b"\x00\xff".to_vec())
            .collect("*.png")
            .secret("KEY", b"\xfe".to_vec())
            .unwrap()
            .network(Network::Gate(vec![place.clone(), "*.b.test:80".parse().unwrap()]))
            .bind_secret("KEY", place)
            .mode(Mode::Standard)
            .start(StartChoice::Fresh);
        let named = LimitsRow { wall_ms: Some(7), ..LimitsRow::default() };
        let request = Request::new("python".to_owned(), source.clone(), named, Floor::L3).unwrap();
        let wish = understood(&crate::json::line(&request)).ok().unwrap();
        assert!(wish.source == source);
        assert_eq!((wish.runtime.as_str(), wish.floor), ("python", Floor::L3));
        let limits = Limits { wall: std::time::Duration::from_millis(7), ..Limits::strict() };
        assert_eq!(wish.limits, limits);
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (json, mentions) in [
            (r#"{"code":"1"}"#, "runtime"),
            (r#"{"runtime":"js"}"#, "nothing to run"),
            (r#"{"runtime":"js","code":"1","entry":"a"}"#, "not both"),
            (r#"{"runtime":"js","entry":"a"}"#, "not among"),
            (r#"{"runtime":"js","code":"1","cdoe":"1"}"#, "cdoe"),
            (r#"{"runtime":"js","code":1}"#, "string"),
            (r#"{"runtime":"js","code":"1","limits":{"wall":1}}"#, "wall"),
            (r#"{"runtime":"js","code":"1","limits":{"wall_ms":-1}}"#, "-1"),
            (r#"{"runtime":"js","code":"1","start":"warm"}"#, "warm"),
            (r#"{"runtime":"js","code":"1","floor":"L9"}"#, "floor"),
            (r#"{"runtime":"js","code":"1","network":["a"]}"#, "network: \"a\" cannot be granted"),
            (r#"{"runtime":"js","code":"1","network":["none","a:1"]}"#, "network"),
            (r#"{"runtime":"js","code":"1","mode":"strict"}"#, "off, restricted, standard or full"),
            (r#"{"runtime":"js","code":"1","secret_hosts":{"A":"a:1"}}"#, "not among the secrets"),
            (
                r#"{"runtime":"js","code":"1","secrets":{"A":"v"},"network":["a:2"],"secret_hosts":{"A":"a:1"}}"#,
                "a:1 is not among the places",
            ),
            (r#"{"runtime":"js","code":"1","secrets":{"low":"x"}}"#, "low"),
            (r#"{"runtime":"js","code":"1","stdin":{"content":"*","encoding":"base64"}}"#, "stdin"),
        ] {
            let refusal = understood(json).err().unwrap();
            assert!(refusal.contains(mentions), "{json}: {refusal}");
        }
    }
}

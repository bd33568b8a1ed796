//! Every key, once: from here come the reference, the commented file, the names in the
//! environment, and what a misspelt key may have meant.

use serde_json::Value;

use super::kind::Kind;

/// Keys that stand together.
pub(crate) struct Section {
    /// `NAME` is any name.
    pub(crate) path: &'static [&'static str],
    pub(crate) meaning: &'static str,
    /// The section that has what one with a name does not say itself.
    pub(crate) heir_of: &'static [&'static str],
    pub(crate) keys: &'static [Key],
}

const NOBODY: &[&str] = &[];

#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) meaning: &'static str,
    /// In place of a default that depends on the host.
    pub(crate) usually: Option<&'static str>,
    /// An older name in the environment.
    pub(crate) also: Option<&'static str>,
    /// Whether SIGHUP applies it.
    pub(crate) is_live: bool,
}

/// A key in its section.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) section: &'static Section,
    pub(crate) key: &'static Key,
}

/// The names from the section on.
pub(crate) type Path = Vec<String>;

pub(crate) const ANY_NAME: &str = "NAME";

const fn key(name: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key { name, kind, meaning, usually: None, also: None, is_live: false }
}

impl Key {
    const fn usually(mut self, words: &'static str) -> Self {
        self.usually = Some(words);
        self
    }

    const fn also(mut self, variable: &'static str) -> Self {
        self.also = Some(variable);
        self
    }

    const fn live(mut self) -> Self {
        self.is_live = true;
        self
    }
}

impl Row {
    pub(crate) fn path(self) -> impl Iterator<Item = &'static str> {
        self.section.path.iter().copied().chain([self.key.name])
    }

    /// `queue.running`.
    pub(crate) fn dotted(self) -> String {
        self.path().collect::<Vec<_>>().join(".")
    }

    /// Whether it stands for as many keys as there are names.
    pub(crate) fn is_pattern(self) -> bool {
        self.section.path.contains(&ANY_NAME)
    }

    pub(crate) fn matches(self, path: &[String]) -> bool {
        let own = self.path();
        path.len() == self.section.path.len() + 1
            && own.zip(path).all(|(own, given)| own == ANY_NAME || own == given)
    }

    /// Its variable. A name is no part of one, as not every name could be.
    pub(crate) fn variable(self) -> Option<String> {
        let name = self.path().collect::<Vec<_>>().join("_").to_ascii_uppercase();
        (!self.is_pattern()).then(|| format!("BELLJAR_{name}"))
    }

    /// All of its variables; the first one that is set counts.
    pub(crate) fn variables(self) -> impl Iterator<Item = String> {
        self.variable().into_iter().chain(self.key.also.map(ToOwned::to_owned))
    }

    /// The default as it stands in a file, or in words.
    pub(crate) fn default(self, defaults: &Value) -> String {
        if let Some(words) = self.key.usually {
            return words.to_owned();
        }
        let value = self.path().try_fold(defaults, |value, name| value.get(name));
        value.map(|value| self.key.kind.shown(value)).unwrap_or_default()
    }
}

pub(crate) fn rows() -> impl Iterator<Item = Row> {
    SECTIONS.iter().flat_map(|section| section.keys.iter().map(move |key| Row { section, key }))
}

const HALF_OF_MEMORY: &str = "half of the memory";
const OF_THE_DEFAULT: &str = "that of tenants.default";
const OF_THE_RULES: &str = "that of rules";
const OF_THE_TOOLS: &str = "that of mcp";
const OF_THE_NETWORK: &str = "that of network";

pub(crate) static SECTIONS: [Section; 20] = [
    Section {
        path: &["service"],
        heir_of: NOBODY,
        meaning: "Where the service listens, and what it takes in.",
        keys: &[
            key("socket", Kind::Text, "The path of the Unix socket.")
                .usually("$XDG_RUNTIME_DIR/belljar.sock, or /run/belljar.sock for root"),
            key("socket_mode", Kind::Mode, "The permissions of the socket."),
            key("socket_group", Kind::Text, "The group of the socket; empty for that of the service."),
            key("grace", Kind::Time, "How long runs that go on may take when the service is to end."),
            key("connections", Kind::Count(1), "Connections at one time, where descriptors allow."),
            key("body_bytes", Kind::Size, "The largest body of a request."),
        ],
    },
    Section {
        path: &["limits"],
        heir_of: NOBODY,
        meaning: "The limits of a run, as far as its request names none.",
        keys: &LIMITS,
    },
    Section {
        path: &["ceiling"],
        heir_of: NOBODY,
        meaning: "The most that a request may ask for.",
        keys: &CEILING,
    },
    Section {
        path: &["warm"],
        heir_of: NOBODY,
        meaning: "Jars that are kept ready.",
        keys: &[
            key("runtimes", Kind::List, "The runtimes that have them."),
            key("min", Kind::Count(0), "Jars that wait at least, for each runtime."),
            key("max", Kind::Count(1), "And at most."),
            key("memory_bytes", Kind::Size, "Memory of what waits, for each runtime."),
            key("preload", Kind::List, "What templates import, instead of what each runtime names."),
        ],
    },
    Section {
        path: &["queue"],
        heir_of: NOBODY,
        meaning: "What goes on at one time, for all tenants together.",
        keys: &[
            key("running", Kind::Count(1), "Runs at one time.")
                .usually("4 for each core, at most 64")
                .live(),
            key("queued", Kind::Count(0), "Runs that wait for their turn; with 0 none does.").live(),
            key("memory_bytes", Kind::Size, "Memory limits of all runs at one time, added up; 0 is no bound.")
                .usually(HALF_OF_MEMORY)
                .live(),
        ],
    },
    Section {
        path: &["tenants"],
        heir_of: NOBODY,
        meaning: "Who uses the service.",
        keys: &[
            key("header", Kind::Flag, "Whether X-Belljar-Tenant names the tenant; otherwise the user of the other end does.").live(),
            key("users", Kind::List, "Users, by name or number, who may connect besides root and the owner of the service.").live(),
        ],
    },
    Section {
        path: &["tenants", "default"],
        heir_of: NOBODY,
        meaning: "What each tenant may have and use. 0 is no bound but that of the service.",
        keys: &[
            key("running", Kind::Count(0), RUNNING).live(),
            key("queued", Kind::Count(0), QUEUED).live(),
            key("cpu_ms_per_minute", Kind::Millis, CPU).live(),
            key("runs_per_minute", Kind::Count(0), RUNS).live(),
            key("weight", Kind::Count(1), WEIGHT).live(),
        ],
    },
    Section {
        path: &["tenants", "named", ANY_NAME],
        heir_of: &["tenants", "default"],
        meaning: "The same for the tenant of this name.",
        keys: &[
            key("running", Kind::Count(0), RUNNING).usually(OF_THE_DEFAULT).live(),
            key("queued", Kind::Count(0), QUEUED).usually(OF_THE_DEFAULT).live(),
            key("cpu_ms_per_minute", Kind::Millis, CPU).usually(OF_THE_DEFAULT).live(),
            key("runs_per_minute", Kind::Count(0), RUNS).usually(OF_THE_DEFAULT).live(),
            key("weight", Kind::Count(1), WEIGHT).usually(OF_THE_DEFAULT).live(),
        ],
    },
    Section {
        path: &["rules"],
        heir_of: NOBODY,
        meaning: "The rules of languages: advice for whoever writes code, and no boundary. A request can only be stricter.",
        keys: &[
            key("mode", Kind::Strictness, "How much of its language a run may use: nothing, no imports, a list of modules, or all.").live(),
            key("modules", Kind::List, "Modules, or commands of a shell, that mode standard has besides its own.").live(),
        ],
    },
    Section {
        path: &["rules", "runtimes", ANY_NAME],
        heir_of: &["rules"],
        meaning: "The same for the runtime of this name; the stricter mode counts, and modules are added.",
        keys: &[
            key("mode", Kind::Strictness, MODE).usually(OF_THE_RULES).live(),
            key("modules", Kind::List, MODULES).usually(OF_THE_RULES).live(),
        ],
    },
    Section {
        path: &["rules", "tenants", ANY_NAME],
        heir_of: &["rules"],
        meaning: "And for the tenant of this name.",
        keys: &[
            key("mode", Kind::Strictness, MODE).usually(OF_THE_RULES).live(),
            key("modules", Kind::List, MODULES).usually(OF_THE_RULES).live(),
        ],
    },
    Section {
        path: &["network"],
        heir_of: NOBODY,
        meaning: "What of a network runs may ask for. They have none unless they ask.",
        keys: &[
            key("allow", Kind::Grants, ALLOW).live(),
            key("open_ranges", Kind::Ranges, OPEN_RANGES).live(),
            key("resolver", Kind::Resolver, "Who resolves names, instead of whom the host asks.").live(),
        ],
    },
    Section {
        path: &["network", "tenants", ANY_NAME],
        heir_of: &["network"],
        meaning: "The same for the tenant of this name, instead of what stands in `network`.",
        keys: &[
            key("allow", Kind::Grants, ALLOW).usually(OF_THE_NETWORK).live(),
            key("open_ranges", Kind::Ranges, OPEN_RANGES).usually(OF_THE_NETWORK).live(),
        ],
    },
    Section {
        path: &["sessions"],
        heir_of: NOBODY,
        meaning: "Interpreters that stay between calls.",
        keys: &[
            key("most", Kind::Count(0), "Sessions at one time, of which a tenant has at most half; with 0 there are none.").live(),
            key("idle_ms", Kind::Millis, "How long a session waits for its next call, unless it says so itself.").live(),
            key("lifetime_ms", Kind::Millis, "How long a session lives at most.").live(),
        ],
    },
    Section {
        path: &["history"],
        heir_of: NOBODY,
        meaning: "What is remembered of runs that are over.",
        keys: &[
            key("path", Kind::Text, "The SQLite file; \"none\" for memory only.")
                .usually("history.sqlite in $XDG_STATE_HOME/belljar, or in /var/lib/belljar for root"),
            key("keep_runs", Kind::Number, "How many runs are remembered.").live(),
            key("keep_ms", Kind::Millis, "For how long.").live(),
            key("keep_bytes", Kind::Size, "And within how many bytes.").live(),
            key("outputs", Kind::Flag, "Whether standard output and standard error are remembered as well.").live(),
        ],
    },
    Section {
        path: &["logs"],
        heir_of: NOBODY,
        meaning: "What the service says about itself.",
        keys: &[
            key("level", Kind::Choice(&["off", "error", "warn", "info", "debug", "trace"]), "The least important that is kept for /v1/logs."),
            key("entries", Kind::Count(1), "How many are kept for /v1/logs."),
        ],
    },
    Section {
        path: &["metrics"],
        heir_of: NOBODY,
        meaning: "Numbers for a monitoring system.",
        keys: &[key("enabled", Kind::Flag, "Whether /metrics answers.")],
    },
    Section {
        path: &["mcp"],
        heir_of: NOBODY,
        meaning: "The door for models.",
        keys: &[
            key("enabled", Kind::Flag, "Whether /mcp answers."),
            key("origins", Kind::List, "Web pages, by origin, from which it may be used."),
            key("mode", Kind::Strictness, "The mode of what models run, where it is stricter than that of `rules`.").live(),
        ],
    },
    Section {
        path: &["mcp", "tools", ANY_NAME],
        heir_of: &["mcp"],
        meaning: "The same for the tool of this name; the stricter mode counts.",
        keys: &[key("mode", Kind::Strictness, MODE).usually(OF_THE_TOOLS).live()],
    },
    Section {
        path: &["runtimes"],
        heir_of: NOBODY,
        meaning: "Languages of the operator's own.",
        keys: &[
            key("directory", Kind::Text, "A directory of *.toml files, each with a runtime.")
                .also("BELLJAR_RUNTIMES"),
        ],
    },
];

const RUNNING: &str = "Runs at one time.";
const QUEUED: &str = "Runs that wait for their turn.";
const CPU: &str = "Processor time of all its runs in a minute; what is above is owed.";
const RUNS: &str = "Runs that come in a minute.";
const WEIGHT: &str = "Turns that it has for one of a tenant with weight 1, when both wait.";

const MODE: &str = "The mode.";
const MODULES: &str = "The modules, or commands.";
const ALLOW: &str = "Places that may be granted: `api.example.com:443`, `*.example.com:443`, `192.0.2.7:5432`, `192.0.2.0/24:443`.";
const OPEN_RANGES: &str = "Private ranges that may be reached all the same: `10.1.0.0/16`. Loopback, link-local and metadata addresses stay closed.";

/// By the names of the contract. The last one has no ceiling.
const LIMITS: [Key; 16] = [
    key("memory_bytes", Kind::Size, "Memory of all processes together.").live(),
    key("cpu_ms", Kind::Millis, "Processor time of all processes together.").live(),
    key("wall_ms", Kind::Millis, "Elapsed time.").live(),
    key("descriptors", Kind::Count(12), "Open descriptors of a process.").live(),
    key("stdout_bytes", Kind::Size, "Captured standard output.").live(),
    key("stderr_bytes", Kind::Size, "Captured standard error.").live(),
    key("processes", Kind::Count(1), "Processes and threads.").live(),
    key("disk_bytes", Kind::Size, "Bytes of all files written, which also count as memory.").live(),
    key("inodes", Kind::Number, "Files and directories written.").live(),
    key("file_bytes", Kind::Size, "Bytes of one written file.").live(),
    key("artifacts", Kind::Count(0), "Files collected.").live(),
    key("artifact_bytes", Kind::Size, "Bytes of all files collected.").live(),
    key("connections", Kind::Count(1), "Connections to granted places at one time.").live(),
    key("network_bytes", Kind::Size, "Bytes to and from granted places together.").live(),
    key("network_bytes_per_s", Kind::Size, "The same in each second.").live(),
    key(
        "on_output_limit",
        Kind::Choice(&["truncate", "kill"]),
        "What happens to a run that writes more than is captured.",
    )
    .live(),
];

const CEILING: [Key; 15] = {
    let [memory, cpu, wall, descriptors, stdout, stderr, processes, disk, inodes, rest @ ..] =
        LIMITS;
    let [file, count, size, connections, bytes, rate, _] = rest;
    let memory = memory.usually("half of the memory, at most \"64G\"");
    [
        memory,
        cpu,
        wall,
        descriptors,
        stdout,
        stderr,
        processes,
        disk,
        inodes,
        file,
        count,
        size,
        connections,
        bytes,
        rate,
    ]
};

//! Every option, as clap reads it.

use std::path::PathBuf;
use std::time::Duration;

use belljar::{Floor, Mode};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::granted::GrantOptions;
use super::limits::LimitOptions;
use super::words;
use crate::client::Host;

/// Run untrusted code in throwaway processes that the kernel confines.
#[derive(Debug, Parser)]
#[command(name = "belljar", version, max_term_width = 100)]
pub(super) struct Options {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run code in a jar of its own
    #[command(after_help = EXIT_STATUS)]
    Run(Box<RunOptions>),
    /// Say where code breaks the rules of its language, without running it
    #[command(after_help = CHECK_STATUS)]
    Check(CheckOptions),
    /// Serve runs over a Unix socket (HTTP and JSON), some of them from jars that wait
    #[command(after_help = LIMITS_OF_WARMTH)]
    Serve(Box<ServeOptions>),
    /// Offer runs to a model: the Model Context Protocol over standard input and output
    #[command(after_help = LIMITS_OF_MODELS)]
    Mcp(Box<McpOptions>),
    /// Show what a service ran, the newest first, or how one run ended
    Runs(RunsOptions),
    /// Show what a service said last
    Logs(LogsOptions),
    /// Show the configuration that is in force, and where each value comes from
    Config(ConfigOptions),
    /// Show what this host can enforce, layer by layer, and what to do about the rest
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Run the attack corpus, each attack in a jar, and tell what held
        #[arg(long)]
        attack: bool,
    },
    /// List the languages and what they need
    Runtimes {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Add the *.toml files of this directory (or set `BELLJAR_RUNTIMES`)
        #[arg(long = "runtimes", value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Print what completes the commands and options of belljar in a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print a page of the manual
    Man(ManOptions),
    /// Connect standard input and output to a service, which is what --host of another host starts
    #[command(name = "dial-stdio", hide = true, after_help = DIAL)]
    Dial(DialOptions),
}

const EXIT_STATUS: &str = "\
Sizes are bytes, or a number with K, M, G or T; times are seconds, or a number with ms, s, min, h.

Exit status: the payload's own; 128+n for signal n; 124 when its time is up, wall or processor;
137 when its memory is; 153 when it was killed for too much output; 159 when it was killed for a
forbidden system call; 129, 130 or 143 when belljar was interrupted; 126 when the rules of its
language or the operator do not let it run; 125 when belljar refused otherwise or failed. With --json
it is 0 for every outcome.";

const CHECK_STATUS: &str = "\
Rules are advice, and no boundary: code that keeps them is confined like any other.

Exit status: 0 when the code keeps the rules, 1 when it does not, and 125 when belljar could not
check it.";

const DIAL: &str = "\
Bytes are passed on as they are, until the service has no more. The end of standard input ends what
is said to the service, which takes it for the wish to end what was asked for.

Exit status: 0, and 125 when no service answers.";

const LIMITS_OF_WARMTH: &str = "\
What waits was raised with the usual limits. Runs with other limits get jars of their own from the
second time on that those limits are asked for; the eight kinds that were used last are kept.

SIGTERM and SIGINT end it: no run begins any more, those that go on have --grace, and a second
signal kills them. Exit status: 0, and 125 when it refused or failed.";

const LIMITS_OF_MODELS: &str = "\
Limits that are named here are what a run has, and the most that a model can ask for. So are a mode,
and places: without --allow-net a model can ask for none. The end of standard input ends everything
that runs.";

/// What is offered to a model, and where it takes place.
#[derive(Debug, Args)]
pub(super) struct McpOptions {
    /// Offer what the service offers that listens there, in its jars and under its configuration
    #[arg(long, value_name = "PATH", conflicts_with_all = ["config", "set", "warmth", "runtimes", "limits", "grants"])]
    pub(super) socket: Option<PathBuf>,
    /// The configuration, as for serve
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Set one key of it
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    #[command(flatten)]
    pub(super) warmth: WarmOptions,
    /// Add the runtimes of a directory of *.toml files (or set `BELLJAR_RUNTIMES`)
    #[arg(long, value_name = "DIR")]
    pub(super) runtimes: Option<PathBuf>,
    #[command(flatten)]
    pub(super) limits: LimitOptions,
    #[command(flatten)]
    pub(super) grants: GrantOptions,
}

/// What waits.
#[derive(Debug, Args)]
#[group(id = "warmth", multiple = true)]
pub(super) struct WarmOptions {
    /// Keep jars ready for these runtimes
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) warm: Vec<String>,
    /// What their templates import, instead of what each runtime names (Python)
    #[arg(long, value_name = "MODULE", value_delimiter = ',')]
    pub(super) preload: Vec<String>,
    /// Jars that wait at least, for each runtime [default: 2]
    #[arg(long, value_name = "N")]
    pub(super) warm_min: Option<usize>,
    /// And at most [default: 8]
    #[arg(long, value_name = "N")]
    pub(super) warm_max: Option<usize>,
    /// Memory of what waits, for each runtime [default: 512M]
    #[arg(long, value_name = "SIZE", value_parser = words::size)]
    pub(super) warm_memory: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct ServeOptions {
    /// The configuration, which gives way to the options here and to the environment [default:
    /// `BELLJAR_CONFIG`, or config.toml in `$XDG_CONFIG_HOME/belljar` or /etc/belljar]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Set one key of it: belljar config --explain lists them
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Where to listen [default: `$XDG_RUNTIME_DIR/belljar.sock`, or /run/belljar.sock for root]
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    #[command(flatten)]
    pub(super) warmth: WarmOptions,
    /// How long runs that go on may take when the service is to end [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = words::time)]
    pub(super) grace: Option<Duration>,
    /// Add the runtimes of a directory of *.toml files (or set `BELLJAR_RUNTIMES`)
    #[arg(long, value_name = "DIR")]
    pub(super) runtimes: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct RunsOptions {
    /// One run, instead of all
    pub(super) id: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Only those that ended so, or are `queued` or `running`
    #[arg(long, value_name = "STATUS", conflicts_with = "id")]
    pub(super) status: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, conflicts_with = "id")]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) there: There,
}

#[derive(Debug, Args)]
pub(super) struct LogsOptions {
    /// Go on as the service does
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Only entries of this level and above
    #[arg(long, value_name = "LEVEL", value_parser = ["trace", "debug", "info", "warn", "error"])]
    pub(super) level: Option<String>,
    /// How many of the last entries
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(super) count: u32,
    /// Only entries from this module and below it, like `belljar::pool`
    #[arg(long, value_name = "SOURCE")]
    pub(super) source: Option<String>,
    /// Print one line of JSON for each
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) there: There,
}

/// The service that is meant.
#[derive(Debug, Args)]
pub(super) struct There {
    /// Where it listens [default: `BELLJAR_SOCKET`, or where a service listens by itself]
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// On another host, through ssh: ssh://[USER@]HOST[:PORT][/PATH/TO/SOCKET] (or set
    /// `BELLJAR_HOST`)
    #[arg(long, value_name = "ADDRESS", conflicts_with = "socket")]
    pub(super) host: Option<Host>,
}

#[derive(Debug, Args)]
pub(super) struct DialOptions {
    /// Where it listens [default: `BELLJAR_SOCKET`, or where a service listens by itself]
    #[arg(long, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ManOptions {
    /// That of one command, instead of belljar's
    pub(super) command: Option<String>,
    /// Write all of them into this directory instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(super) dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ConfigOptions {
    /// The file [default: `BELLJAR_CONFIG`, or config.toml in `$XDG_CONFIG_HOME/belljar` or
    /// /etc/belljar]
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Set one key, before the environment and the file
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Print JSON
    #[arg(long, conflicts_with_all = ["explain", "default"])]
    pub(super) json: bool,
    /// Explain every key instead
    #[arg(long, conflicts_with = "default")]
    pub(super) explain: bool,
    /// Print a file with every key instead
    #[arg(long)]
    pub(super) default: bool,
}

#[derive(Debug, Args)]
pub(super) struct RunOptions {
    /// A file with code, an executable, or - for code from standard input
    pub(super) file: Option<PathBuf>,
    /// Code, instead of a file
    #[arg(short, long, allow_hyphen_values = true, conflicts_with = "file")]
    pub(super) code: Option<String>,
    /// Arguments of the payload
    #[arg(last = true)]
    pub(super) args: Vec<String>,
    /// The language; found by extension, #! line or ELF magic otherwise, and python at last
    #[arg(short, long, value_name = "NAME")]
    pub(super) runtime: Option<String>,
    /// An interpreter, or the directory of a virtual environment. It is asked about itself outside
    /// of any jar
    #[arg(long, visible_alias = "python", value_name = "PATH")]
    pub(super) program: Option<PathBuf>,
    /// Add the runtimes of a directory of *.toml files (or set `BELLJAR_RUNTIMES`)
    #[arg(long, value_name = "DIR")]
    pub(super) runtimes: Option<PathBuf>,

    /// Print the outcome as one line of JSON instead of passing output through
    #[arg(long)]
    pub(super) json: bool,
    /// Say afterwards what was in force, what was refused and what was used
    #[arg(long)]
    pub(super) explain: bool,

    #[command(flatten)]
    pub(super) limits: LimitOptions,
    /// The least protection to accept: strict, or L5 to L1
    #[arg(long, value_name = "LEVEL", default_value = "strict", value_parser = words::floor)]
    pub(super) floor: Floor,
    /// Run in the service that listens there, which is faster where it keeps jars ready. Not
    /// with --program, --runtimes, --read-only or an executable: these need this side. Without
    /// this, a service that answers on `BELLJAR_SOCKET` is used for what it can do; all else is
    /// run here
    #[arg(long, value_name = "PATH", conflicts_with = "cold")]
    pub(super) socket: Option<PathBuf>,
    /// Run in the service of another host, which the ssh of this one reaches (`BELLJAR_SSH` names
    /// another program and its first options): ssh://[USER@]HOST[:PORT][/PATH/TO/SOCKET]. Not with
    /// what --socket is not with [default: `BELLJAR_HOST`]
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["socket", "cold"])]
    pub(super) host: Option<Host>,
    /// Run here, in a jar that is raised from nothing, whatever `BELLJAR_SOCKET` and `BELLJAR_HOST`
    /// say
    #[arg(long)]
    pub(super) cold: bool,

    /// The payload's standard input; - for belljar's own, which is passed on unasked when it is a
    /// pipe or a file and until it ends
    #[arg(long, value_name = "FILE")]
    pub(super) stdin: Option<PathBuf>,
    /// Set an environment variable
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) env: Vec<String>,
    /// Hand over a secret: its value (visible in ps while belljar runs), a file, or from belljar's
    /// environment
    #[arg(long, value_name = "NAME=VALUE|NAME@FILE|NAME")]
    pub(super) secret: Vec<String>,
    /// Copy a file into /work
    #[arg(long = "file", value_name = "HOST[:NAME]")]
    pub(super) files: Vec<String>,
    /// Show a directory read-only, under its own path
    #[arg(long, value_name = "DIR")]
    pub(super) read_only: Vec<PathBuf>,
    /// Collect files from /work into this directory; all new ones unless --collect says which
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Collect the files that match, relative to /work; ** is any directory
    #[arg(long, value_name = "GLOB")]
    pub(super) collect: Vec<String>,

    #[command(flatten)]
    pub(super) grants: GrantOptions,
    /// Keep a secret outside, for the headers of requests to this one place, which is granted. What
    /// runs has a word that stands for it
    #[arg(long, value_name = "NAME=HOST:PORT")]
    pub(super) bind_secret: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct CheckOptions {
    /// A file with code, or - for code from standard input
    pub(super) file: Option<PathBuf>,
    /// Code, instead of a file
    #[arg(short, long, allow_hyphen_values = true, conflicts_with = "file")]
    pub(super) code: Option<String>,
    /// The language; found by extension or #! line otherwise, and python at last
    #[arg(short, long, value_name = "NAME")]
    pub(super) runtime: Option<String>,
    /// Whose rules: off, restricted, standard or full
    #[arg(long, value_name = "MODE", default_value = "standard", value_parser = words::mode)]
    pub(super) mode: Mode,
    /// Modules, or commands of a shell, that mode standard has besides its own
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) modules: Vec<String>,
    /// Add the runtimes of a directory of *.toml files (or set `BELLJAR_RUNTIMES`)
    #[arg(long, value_name = "DIR")]
    pub(super) runtimes: Option<PathBuf>,
    /// Print one line of JSON
    #[arg(long, conflicts_with = "sarif")]
    pub(super) json: bool,
    /// Print SARIF 2.1.0, which editors and code reviews read
    #[arg(long)]
    pub(super) sarif: bool,
}

//! The same program in the jars of others, whichever are installed.

use std::io::Write as _;
use std::path::Path;

use belljar::{Sandbox, Source};
use belljar_benches::{Contest, Effort, Error, Goal, Jars, bare, unavailable};

const NOOP: &str = env!("CARGO_BIN_EXE_belljar-bench-noop");

/// A name and a command line that isolates as much as the program does without a configuration.
struct Peer {
    name: &'static str,
    program: &'static str,
    args: Vec<String>,
}

fn main() -> Result<(), Error> {
    let effort = Effort::asked_for(100)?;
    let jars = Jars::new()?;
    let peers = [unshare(), bubblewrap(), nsjail(), firejail()];
    let sandbox = Sandbox::builder("native").build()?;
    let source = Source::program(NOOP);
    let mut contest = Contest::default();
    let mut absent = Vec::new();
    contest.enter("no sandbox", || bare(NOOP, &[""; 0]));
    for peer in &peers {
        match unavailable(peer.program, &peer.args) {
            None => contest.enter(peer.name, || bare(peer.program, &peer.args)),
            Some(why) => absent.push(format!("{}: {why}", peer.name)),
        }
    }
    contest.enter("belljar, all walls and limits", || jars.run(&sandbox, &source).map(drop));

    let table = contest.hold(effort.rounds)?;
    table.print("A native program that does nothing, in the jars of others", "no sandbox")?;
    for line in absent {
        writeln!(std::io::stdout().lock(), "  not measured: {line}")?;
    }
    for peer in &peers {
        table.compare("belljar, all walls and limits", &[peer.name], Goal::Told)?;
    }
    Ok(())
}

fn unshare() -> Peer {
    Peer {
        name: "unshare(1): namespaces and /proc only",
        program: "unshare",
        args: words("-r -p -f -m -n -i -u -C --mount-proc", &[NOOP]),
    }
}

fn bubblewrap() -> Peer {
    let mut args = words("--unshare-all --die-with-parent", &[]);
    for path in system_directories() {
        args.extend(words("--ro-bind", &[path, path]));
    }
    args.extend(words("--proc /proc --dev /dev --tmpfs /tmp --ro-bind", &[NOOP]));
    args.extend(words("/program /program", &[]));
    Peer { name: "bubblewrap: namespaces and a root", program: "bwrap", args }
}

fn nsjail() -> Peer {
    let mut args = words("-Mo --really_quiet --disable_clone_newcgroup", &[]);
    for path in system_directories() {
        args.extend(words("-R", &[path]));
    }
    args.extend(words("-T /tmp -R", &[&format!("{NOOP}:/program")]));
    args.extend(words("-- /program", &[]));
    Peer { name: "nsjail: namespaces, a root, rlimits", program: "nsjail", args }
}

fn firejail() -> Peer {
    let options = "--quiet --noprofile --net=none --private-tmp --private-dev --caps.drop=all \
                   --nonewprivs --seccomp";
    Peer {
        name: "firejail: namespaces, capabilities, a filter",
        program: "firejail",
        args: words(options, &[NOOP]),
    }
}

fn system_directories() -> impl Iterator<Item = &'static str> {
    ["/usr", "/lib", "/lib64"].into_iter().filter(|path| Path::new(path).exists())
}

/// Words apart, and arguments that may hold blanks.
fn words(words: &str, arguments: &[&str]) -> Vec<String> {
    words.split_whitespace().chain(arguments.iter().copied()).map(ToOwned::to_owned).collect()
}

//! The way to a service of another host: the ssh of this one, with all that it is configured to do.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, join};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::address::Host;
use crate::json::{Problem, Whose};

/// How long it may take to end when its other end has.
const END_PATIENCE: Duration = Duration::from_secs(2);
/// And to leave a terminal as it was.
const LAST_ACT: Duration = Duration::from_millis(100);
/// What ssh ends with when there is no connection, and a shell when there is no program.
const NO_CONNECTION: i32 = 255;
const NO_PROGRAM: i32 = 127;
/// What belljar itself ends with when it refuses or fails.
const REFUSED: i32 = 125;

/// What is typed at a terminal goes to all that belong to it, and belljar has yet to hear what came
/// of the run when it is interrupted: ssh keeps ignoring what it was started with ignored. A group
/// of its own would do as well, but then it could not ask for a password.
const DEAF: &str = "trap '' HUP INT TERM; exec \"$@\"";

/// What holds for these connections alone, whatever else is configured: nothing but a program over
/// there and its three streams, and nothing that stays when it is killed.
const OPTIONS: [&str; 11] = [
    "-T",
    "-a",
    "-x",
    "-o",
    "ClearAllForwardings=yes",
    "-o",
    "ControlMaster=no",
    "-o",
    "PermitLocalCommand=no",
    "-o",
    "RemoteCommand=none",
];

/// Whether somebody may be asked for a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// At the terminal, if there is one.
    Asks,
    /// Neither asks nor says anything.
    Silent,
}

/// A connection to another host. Killed when dropped.
#[derive(Debug)]
pub(super) struct Ssh {
    child: Child,
    /// Whether it may be asking for a password.
    may_ask: bool,
}

impl Ssh {
    /// Starts one; what belljar over there reads and writes.
    ///
    /// # Errors
    /// When there is no ssh.
    pub(super) fn to(
        host: &Host,
        manner: Manner,
    ) -> io::Result<(Self, impl AsyncRead + AsyncWrite + Send + Unpin + 'static)> {
        let program = program()?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", DEAF, "belljar-ssh"]).args(program).args(arguments(host, manner));
        let stderr = if manner == Manner::Asks { Stdio::inherit() } else { Stdio::null() };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok((Self { child, may_ask: manner == Manner::Asks }, join(stdout, stdin)))
    }

    /// The other side has answered.
    pub(super) fn is_through(&mut self) {
        self.may_ask = false;
    }

    /// Why there is no answer from `host`, if ssh can tell.
    pub(super) async fn why(&mut self, host: &Host) -> Option<Problem> {
        let ended = timeout(END_PATIENCE, self.child.wait()).await.ok()?.ok()?;
        Some(explain(host, ended))
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        if self.may_ask && matches!(self.child.try_wait(), Ok(None)) {
            // Who asks for a password has switched off that a terminal shows what is typed, and
            // hears of an interruption when belljar does.
            thread::sleep(LAST_ACT);
        }
    }
}

fn explain(host: &Host, ended: ExitStatus) -> Problem {
    let passing = |what: &str| Problem::passing("internal", format!("{host}: {what}"));
    match ended.code() {
        Some(NO_CONNECTION) => passing("ssh cannot connect or log in, as it says above"),
        Some(NO_PROGRAM) => {
            let what = "no belljar is found there: install it in a directory of the PATH that \
                        a command has which ssh starts there";
            Problem::new("internal", Whose::Host, format!("{host}: {what}"))
        }
        Some(REFUSED) => passing("no service answers there: start one with belljar serve"),
        Some(0) => passing("the service there went away"),
        _ => passing(&format!("what ssh runs there ended with {ended}")),
    }
}

/// The program and its first arguments: `BELLJAR_SSH`, at whose spaces it is cut, or `ssh`.
fn program() -> io::Result<Vec<OsString>> {
    let named = env::var("BELLJAR_SSH").unwrap_or_default();
    let mut words: Vec<_> = named.split_whitespace().map(OsString::from).collect();
    if words.is_empty() {
        words.push("ssh".into());
    }
    let first = words.first().map_or(Path::new(""), Path::new);
    // The shell would say that it is not found with the same status as that of the other side.
    let directories = env::var_os("PATH").unwrap_or_default();
    let is_there = if first.components().count() > 1 {
        first.is_file()
    } else {
        env::split_paths(&directories).any(|directory| directory.join(first).is_file())
    };
    if !is_there {
        let what = format!("{} is not installed here, or not in PATH", first.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, what));
    }
    Ok(words)
}

fn arguments(host: &Host, manner: Manner) -> Vec<String> {
    let mut arguments: Vec<_> = OPTIONS.iter().map(|word| (*word).to_owned()).collect();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|word| (*word).to_owned()));
    if manner == Manner::Silent {
        add(&["-o", "BatchMode=yes"]);
    }
    if let Some(port) = host.port {
        add(&["-p", &port.to_string()]);
    }
    if let Some(user) = &host.user {
        add(&["-l", user]);
    }
    add(&["--", &host.name, &command(host)]);
    arguments
}

/// The line that a shell over there reads.
fn command(host: &Host) -> String {
    let usual = "belljar dial-stdio".to_owned();
    let socket = host.socket.as_ref();
    socket
        .map_or(usual.clone(), |path| format!("{usual} --socket '{}'", path.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn a_host_is_behind_all_options_and_a_path_is_one_word() {
        let host: Host = "ssh://me@h:22/a b';id;'$(id)".parse().unwrap();
        let words = arguments(&host, Manner::Silent);
        let ends = ["-p", "22", "-l", "me", "--", "h"];
        let (line, before) = words.split_last().unwrap();
        assert!(before.ends_with(&ends.map(str::to_owned)), "{words:?}");
        assert!(words.contains(&"BatchMode=yes".to_owned()), "{words:?}");
        let shell = std::process::Command::new("/bin/sh")
            .args(["-c", &format!("set -- {line}; printf '%s|' \"$@\"")])
            .output()
            .unwrap();
        assert_eq!(shell.stdout, b"belljar|dial-stdio|--socket|/a b';id;'$(id)|");
    }

    #[test]
    fn every_end_is_told_apart() {
        let host: Host = "ssh://h".parse().unwrap();
        let told = [255, 127, 125, 0, 1]
            .map(|code| explain(&host, ExitStatus::from_raw(code << 8)).message);
        for (said, mentions) in
            told.iter().zip(["log in", "no belljar", "no service", "went away", "exit status: 1"])
        {
            assert!(said.starts_with("ssh://h: ") && said.contains(mentions), "{said}");
        }
    }
}

//! A service in a process of its own, and a client of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::Error;
use crate::launch::beside;

/// `USER_HZ` (time(7)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Ended when dropped.
#[derive(Debug)]
pub struct Service {
    child: Child,
    directory: PathBuf,
}

/// A connection that stays.
#[derive(Debug)]
pub struct Client(BufReader<UnixStream>);

impl Service {
    /// Starts one with these options, and waits until it is warm.
    ///
    /// # Errors
    /// When it is not built, or does not start.
    pub fn start(options: &[&str]) -> Result<Self, Error> {
        let name = format!("belljar-bench-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let program = beside("belljar")?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--socket").arg(directory.join("s")).args(options);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut said = String::new();
        if let Some(stderr) = child.stderr.take() {
            BufReader::new(stderr).read_line(&mut said)?;
        }
        let service = Self { child, directory };
        said.contains("listens on").then_some(service).ok_or_else(|| said.into())
    }

    /// # Errors
    /// When it does not listen.
    pub fn connect(&self) -> Result<Client, Error> {
        Ok(Client(BufReader::new(UnixStream::connect(self.directory.join("s"))?)))
    }

    /// The processor time of the service itself, and of no jar.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu(&self) -> Result<Duration, Error> {
        cpu_of(self.child.id())
    }
}

/// The processor time of a process, without its children.
///
/// # Errors
/// When it is gone.
pub fn cpu_of(pid: u32) -> Result<Duration, Error> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").ok_or("stat without a name")?;
    // The 14th and the 15th, as proc_pid_stat(5) counts, where the state is the third.
    let ticks = rest.split_ascii_whitespace().skip(14 - 3).take(2).map(str::parse::<f64>);
    let ticks = ticks.sum::<Result<f64, _>>()?;
    Ok(Duration::from_secs_f64(ticks / TICKS_PER_SECOND))
}

impl Drop for Service {
    fn drop(&mut self) {
        if kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM).is_ok() {
            drop(self.child.wait());
        }
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

impl Client {
    /// Sends JSON, and understands the JSON that comes back.
    ///
    /// # Errors
    /// When it is refused.
    pub fn ask(&mut self, place: &str, body: &Value) -> Result<Value, Error> {
        self.say(place, "application/json", body)?;
        let length = self.head()?.ok_or("an answer without a length")?;
        let answer = self.exactly(length)?;
        let answer: Value = serde_json::from_slice(&answer)?;
        if answer.get("code").is_some_and(Value::is_string) {
            return Err(answer.to_string().into());
        }
        Ok(answer)
    }

    /// Sends JSON, and has each event looked at as it comes.
    ///
    /// # Errors
    /// When it is refused, or whoever looks says so.
    pub fn follow(
        &mut self,
        place: &str,
        body: &Value,
        mut look: impl FnMut(&Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.say(place, "application/x-ndjson", body)?;
        if self.head()?.is_some() {
            return Err("it is refused".into());
        }
        loop {
            let length = usize::from_str_radix(&self.line()?, 16)?;
            let chunk = self.exactly(length)?;
            self.line()?;
            if length == 0 {
                return Ok(());
            }
            look(&serde_json::from_slice(&chunk)?)?;
        }
    }

    fn say(&mut self, place: &str, accept: &str, body: &Value) -> Result<(), Error> {
        let body = body.to_string();
        let length = body.len();
        let asked = format!(
            "POST {place} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\ncontent-length: {length}\r\n\
             \r\n{body}"
        );
        Ok(self.0.get_mut().write_all(asked.as_bytes())?)
    }

    /// The length of the answer; nothing for one that comes in pieces.
    fn head(&mut self) -> Result<Option<usize>, Error> {
        let mut length = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                return Ok(length);
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = Some(value.parse()?);
            }
        }
    }

    fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err("the service is gone".into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

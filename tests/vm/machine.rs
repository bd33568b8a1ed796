use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::guest::MARK;
use crate::image;

/// A virtual machine that is booted once, by the first test that asks what was found in it.
#[derive(Debug)]
pub(crate) struct Machine {
    kernel: PathBuf,
    console: OnceCell<Console>,
}

#[derive(Debug)]
struct Console {
    text: String,
    /// What each check of each caller said.
    told: HashMap<(String, String), String>,
}

/// Emulation is some twenty times slower than a processor, whose speed is anybody's guess.
const PATIENCE: Duration = Duration::from_secs(500);
/// Of a test that asks: another one may have begun to boot another machine.
pub(crate) const PATIENCE_OF_A_TEST: Duration = Duration::from_mins(10);

impl Machine {
    pub(crate) fn new(kernel: PathBuf) -> Self {
        Self { kernel, console: OnceCell::new() }
    }

    /// What a check said, of a machine that was booted for it or an earlier one.
    pub(crate) async fn told(&self, caller: &str, check: &str) -> Result<(), String> {
        let console = self.console.get_or_init(|| self.boot()).await;
        match console.told.get(&(caller.to_owned(), check.to_owned())).map(String::as_str) {
            Some("ok") => Ok(()),
            Some(failure) => Err(failure.replace("\\n", "\n")),
            None => {
                let end: Vec<&str> = console.text.lines().rev().take(30).collect();
                let end: Vec<&str> = end.into_iter().rev().collect();
                Err(format!("the machine never said; its console ends:\n{}", end.join("\n")))
            }
        }
    }

    async fn boot(&self) -> Console {
        let mut initramfs = tempfile::NamedTempFile::new().expect("a temporary file");
        initramfs.write_all(&image::image()).expect("room for a machine's files");
        let mut machine = Command::new("qemu-system-x86_64")
            .args(["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"])
            .args(["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,la57=off"])
            .args(["-smp", "2", "-m", "1024", "-append"])
            .arg("console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off")
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(initramfs.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("qemu-system-x86_64 (Debian: qemu-system-x86)");
        let mut output = machine.stdout.take().expect("a piped stream");
        let mut bytes = Vec::new();
        let finished = tokio::time::timeout(PATIENCE, output.read_to_end(&mut bytes)).await;
        let mut text = String::from_utf8_lossy(&bytes).replace('\r', "");
        if finished.is_err() {
            text.push_str("\n(and it never ended)");
            drop(machine.kill().await);
        }
        drop(machine.wait().await);
        let told = text.lines().filter_map(told).collect();
        Console { text, told }
    }
}

/// `mark caller check: what` as a check of a machine says it.
fn told(line: &str) -> Option<((String, String), String)> {
    let (who, what) = line.split_once(MARK)?.1.split_once(": ")?;
    let (caller, check) = who.trim().split_once(' ')?;
    Some(((caller.to_owned(), check.to_owned()), what.to_owned()))
}

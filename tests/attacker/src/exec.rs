//! Running what was not meant to be run (A26, A48, A51, A76).

use std::env;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::libc;

use crate::scratch::Scratch;
use crate::sys::call;
use crate::tries::{Finding, Tries, either_way, errno};

/// The subcommand by which a planted copy of this program says that it ran.
pub(crate) const RAN: &str = "ran";

/// The subcommand by which a copy reports success in place of the process it replaced.
pub(crate) const SUCCEEDS: &str = "succeeds";

/// The exit code of [`RAN`], and that of [`I386_PROGRAM`].
pub(crate) const RAN_CODE: u8 = 42;

/// A 32-bit program that exits with [`RAN_CODE`] by its first system call: an ELF header, one
/// segment, and `mov eax, 1; mov ebx, 42; int 0x80`.
#[rustfmt::skip]
pub(crate) const I386_PROGRAM: &[u8] = &[
    0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    2, 0, 3, 0, 1, 0, 0, 0, 0x54, 0x80, 4, 8, 0x34, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0x34, 0, 0x20, 0, 1, 0, 0, 0, 0, 0, 0, 0,
    1, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 4, 8, 0, 0x80, 4, 8,
    0x60, 0, 0, 0, 0x60, 0, 0, 0, 5, 0, 0, 0, 0, 0x10, 0, 0,
    0xb8, 1, 0, 0, 0, 0xbb, RAN_CODE, 0, 0, 0, 0xcd, 0x80,
];

/// Writes an executable file.
pub(crate) fn plant(scratch: &Path, name: &str, content: &[u8]) -> io::Result<PathBuf> {
    let path = scratch.join(name);
    fs::write(&path, content)?;
    fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Whether `program` ran and ended as a planted program does; `ENOEXEC` if it ended otherwise.
pub(crate) fn ran(program: &Path, arguments: &[&str]) -> nix::Result<()> {
    let ending = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(errno)?;
    if ending.code() == Some(RAN_CODE.into()) { Ok(()) } else { Err(Errno::ENOEXEC) }
}

pub(crate) fn memory_files() -> Finding {
    const NOEXEC_SEAL: u32 = 8;
    const EXEC: u32 = 16;
    let mut tries = Tries::of_files();
    for (name, flags) in [("0", 0), ("MFD_EXEC", EXEC), ("MFD_NOEXEC_SEAL", NOEXEC_SEAL)] {
        tries.attempt(&format!("memfd_create({name}), exec by path"), || {
            let file = memory_file(flags)?;
            ran(Path::new(&format!("/proc/self/fd/{file}")), &[RAN])
        });
        tries.attempt(&format!("memfd_create({name}), execveat"), || {
            let file = memory_file(flags)?;
            // Success does not return: the copy ends this child as an attempt that obtained.
            let arguments = [c"x".as_ptr(), c"succeeds".as_ptr(), std::ptr::null()];
            call!(libc::SYS_execveat, file, c"", &arguments, 0, libc::AT_EMPTY_PATH)
        });
    }
    tries.finding()
}

/// A copy of this program in memory, as executable as the kernel lets it be.
fn memory_file(flags: u32) -> nix::Result<i64> {
    let file = call!(libc::SYS_memfd_create, c"belljar", flags)?;
    // A seal against execution may refuse the mode; whether it runs is then seen by running it.
    either_way(call!(libc::SYS_fchmod, file, 0o755));
    let path = format!("/proc/self/fd/{file}");
    fs::write(path, own_program().map_err(errno)?).map_err(errno)?;
    Ok(file)
}

fn own_program() -> io::Result<Vec<u8>> {
    fs::read("/proc/self/exe")
}

pub(crate) fn planted_programs() -> Finding {
    let mut tries = Tries::of_files();
    let planted = Scratch::open().and_then(|scratch| {
        let own = env::current_exe()?;
        let binary = plant(&scratch, "planted", &own_program()?)?;
        let text = format!("#!{} {RAN}\n", own.display());
        let script = plant(&scratch, "planted-script", text.as_bytes())?;
        Ok((scratch, binary, script))
    });
    let Ok((_scratch, binary, script)) = planted else {
        return Finding::Inconclusive("nothing can be written".to_owned());
    };
    tries.attempt("an ELF file", || ran(&binary, &[RAN]));
    tries.attempt("a script", || ran(&script, &[]));
    for loader in ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"] {
        if Path::new(loader).exists() {
            let path = binary.to_string_lossy();
            tries.attempt(&format!("{loader} with an ELF file"), || {
                ran(Path::new(loader), &[&path, RAN])
            });
        }
    }
    tries.finding()
}

pub(crate) fn setuid_programs() -> Finding {
    const NOBODY: u32 = 65534;
    let mut tries = Tries::of_files();
    for program in ["/usr/bin/su", "/bin/su", "/usr/bin/passwd", "/usr/bin/newuidmap"] {
        tries.attempt(program, || {
            let mut command = Command::new(program);
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
            if nix::unistd::geteuid().is_root() {
                command.uid(NOBODY).gid(NOBODY);
            }
            let mut child = command.spawn().map_err(errno)?;
            let status = format!("/proc/{}/status", child.id());
            // It waits for a password, or ends at once: either way it is seen at work.
            let gained = (0..200).any(|_| {
                thread::sleep(Duration::from_millis(1));
                fs::read_to_string(&status).is_ok_and(|text| is_effective_root(&text))
            });
            either_way(child.kill());
            either_way(child.wait());
            if gained { Ok(()) } else { Err(Errno::EPERM) }
        });
    }
    tries.finding()
}

/// Whether `/proc/PID/status` shows an effective user id of 0 beside another real one.
fn is_effective_root(status: &str) -> bool {
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:\t")).unwrap_or_default();
    let mut ids = ids.split('\t');
    ids.next().is_some_and(|real| real != "0") && ids.next() == Some("0")
}

/// Replaces itself for five seconds, each time with nearly a megabyte of environment.
pub(crate) fn exec_loop() -> Finding {
    const UNTIL: &str = "BELLJAR_ATTACK_UNTIL";
    const SPAN: Duration = Duration::from_secs(5);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let until = env::var(UNTIL).ok().and_then(|text| text.parse().ok()).map(Duration::from_millis);
    if until.is_some_and(|until| now >= until) {
        return Finding::Bit("replaced itself for 5 s".to_owned());
    }
    let until = until.unwrap_or(now + SPAN).as_millis().to_string();
    let ballast = "x".repeat(120_000);
    let own = env::args_os().nth(1).unwrap_or_default();
    let failure = Command::new("/proc/self/exe")
        .arg(own)
        .env_clear()
        .envs((0..8).map(|i| (format!("BALLAST_{i}"), &ballast)))
        .env(UNTIL, until)
        .exec();
    Finding::Held(format!("exec of this program: {failure}"))
}

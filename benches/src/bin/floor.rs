//! The floor: what a jar costs that nobody supervises.
//!
//! It makes the seven namespaces, maps one unprivileged id, with `--root` builds a root file system
//! of about the mounts that a worker makes, restricts itself with Landlock, installs the very
//! filter of a worker, starts the program as process 1 of the jar, and waits for it. It has no
//! init, no cgroup, no resource limits, no look from outside, and captures nothing.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, Scope,
};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, chdir, pivot_root, setgroups, setresgid, setresuid};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

mod filter {
    #![expect(dead_code, reason = "generated for workers, which need all of it")]

    use seccompiler::sock_filter;

    struct Denied {
        call: i32,
        errno: i32,
        telling: u8,
    }

    include!(concat!(env!("OUT_DIR"), "/programs.rs"));

    pub(super) fn standard() -> &'static [sock_filter] {
        &STANDARD
    }
}

/// Stands for the unprivileged id of a run.
const NOBODY: u32 = 65534;
/// Where the new root is built.
const SITE: &str = "/proc";
const NONE: Option<&str> = None;

fn main() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    let first = args.next().ok_or("belljar-bench-floor [--root] PROGRAM")?;
    let (builds_root, program) = match first.as_str() {
        "--root" => (true, args.next().ok_or("no program")?),
        _ => (false, first),
    };
    enter_namespaces()?;
    let program = if builds_root { build_root(&program)? } else { program };
    restrict(&program)?;
    seccompiler::apply_filter(filter::standard())?;
    let status = Command::new(&program).env_clear().status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn enter_namespaces() -> Result {
    if Uid::effective().is_root() {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        setgroups(&[])?;
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
        // Cleared with the id: without it /proc/self belongs to root.
        prctl::set_dumpable(true)?;
    }
    let (uid, gid) = (Uid::effective(), Gid::effective());
    unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWCGROUP,
    )?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("1000 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("1000 {gid} 1"))?;
    Ok(mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)?)
}

/// Returns the name of the program under the new root.
fn build_root(program: &str) -> Result<String> {
    let source = Path::new(program).canonicalize()?;
    let hidden = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), SITE, Some("tmpfs"), hidden | MsFlags::MS_NOEXEC, Some("mode=755"))?;
    chdir(SITE)?;
    fs::write("program", "")?;
    bind(&source, "program")?;
    fs::create_dir("usr")?;
    bind(Path::new("/usr"), "usr")?;
    for library in ["lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{library}"), library)?;
    }
    fs::create_dir("dev")?;
    for device in ["dev/null", "dev/zero", "dev/full", "dev/random", "dev/urandom"] {
        fs::write(device, "")?;
        bind(&Path::new("/").join(device), device)?;
    }
    fs::create_dir("scratch")?;
    mount(Some("tmpfs"), "scratch", Some("tmpfs"), hidden, Some("mode=755"))?;
    for part in ["work", "tmp", "shm"] {
        fs::create_dir(part)?;
        fs::create_dir(format!("scratch/{part}"))?;
        let own = format!("scratch/{part}");
        mount(Some(own.as_str()), part, NONE, MsFlags::MS_BIND, NONE)?;
    }
    umount2("scratch", MntFlags::MNT_DETACH)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    let again = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(NONE, "/", NONE, again | hidden | MsFlags::MS_NOEXEC, NONE)?;
    Ok("/program".to_owned())
}

fn bind(source: &Path, target: &str) -> Result {
    Ok(mount(Some(source), target, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)?)
}

/// As many rules as a worker adds for a small job.
fn restrict(program: &str) -> Result {
    let abi = ABI::V6;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let execute = BitFlags::from(AccessFs::Execute);
    let file = AccessFs::ReadFile | AccessFs::Execute;
    let write = AccessFs::from_write(abi);
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::from_all(abi))?
        .create()?;
    for (path, rights) in [
        ("/", read),
        (program, file),
        ("/usr", read | execute),
        ("/dev", read),
        ("/tmp", read | write),
        ("/dev/null", AccessFs::ReadFile | AccessFs::WriteFile),
    ] {
        ruleset = ruleset.add_rule(PathBeneath::new(PathFd::new(path)?, rights))?;
    }
    ruleset.restrict_self()?;
    Ok(())
}

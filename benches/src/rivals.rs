//! The jars of others: each isolates as much as it does without a policy somebody has to write.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io, iter};

use nix::unistd::geteuid;

use crate::bundle::{self, Place};
use crate::{Error, Job, bare};

/// A program that confines, told to do a job.
#[derive(Debug)]
pub struct Rival {
    /// What it is called, and its version where it tells one.
    pub title: String,
    /// What it is made to put around the job.
    pub walls: &'static str,
    /// Nothing when it is not installed.
    program: Option<PathBuf>,
    /// What has to be done before and after every run.
    before: Vec<String>,
    run: Vec<String>,
    after: Vec<String>,
}

/// Everybody, installed or not, told to do this job.
///
/// # Errors
/// When what one of them needs cannot be written.
pub fn rivals(job: &Job, place: &Place) -> io::Result<Vec<Rival>> {
    Ok(vec![
        bubblewrap(job),
        nsjail(job),
        firejail(job),
        minijail(job, place),
        crun(job, place)?,
        isolate(job),
    ])
}

impl Rival {
    /// Whether it does the job.
    ///
    /// # Errors
    /// Why it does not, in one line.
    pub fn check(&self, job: &Job) -> Result<(), String> {
        let program = self.program.as_ref().ok_or("not installed")?;
        let step = |args: &[String]| match args {
            [] => Ok(()),
            args => bare(program, args).map_err(|error| error.to_string()),
        };
        step(&self.before)?;
        let mut command = Command::new(program);
        command.args(&self.run);
        let done = job.check(command);
        step(&self.after)?;
        done
    }

    /// Does the job.
    ///
    /// # Errors
    /// When it cannot be started, or fails.
    pub fn run(&self) -> Result<(), Error> {
        let program = self.program.as_ref().ok_or("not installed")?;
        for args in [&self.before, &self.run, &self.after] {
            if !args.is_empty() {
                bare(program, args)?;
            }
        }
        Ok(())
    }

    fn new(
        program: &str,
        title: &str,
        walls: &'static str,
        options: Vec<String>,
        job: &Job,
    ) -> Self {
        let program = found(program);
        let version = program.as_deref().and_then(version).unwrap_or_default();
        let title = format!("{title}{version}");
        let run = [options, job.words()].concat();
        Self { title, walls, program, before: Vec::new(), run, after: Vec::new() }
    }
}

fn bubblewrap(job: &Job) -> Rival {
    let mut options = words(
        "--unshare-user --unshare-all --disable-userns --uid 65534 --gid 65534 --cap-drop ALL \
         --new-session --die-with-parent --ro-bind /usr /usr --proc /proc --dev /dev --tmpfs /tmp",
    );
    for path in system_directories() {
        match fs::read_link(path) {
            Ok(to) => options.extend(words(&format!("--symlink {} {path}", to.display()))),
            Err(_) => options.extend(words(&format!("--ro-bind {path} {path}"))),
        }
    }
    options.push("--".to_owned());
    Rival::new("bwrap", "bubblewrap", "all namespaces, a root of its own", options, job)
}

fn nsjail(job: &Job) -> Rival {
    // By itself it allows 4 GiB of address space, which is less than Node reserves.
    let mut options = words(
        "-Mo --really_quiet --user 65534 --group 65534 --hostname jar --rlimit_as hard \
         -T /tmp -R /usr",
    );
    for path in system_directories() {
        options.extend(words(&format!("-R {path}")));
    }
    let filter = format!("ERRNO(1) {{ {} }} DEFAULT ALLOW", bundle::REFUSED.join(", "));
    options.extend(["--seccomp_string".to_owned(), filter, "--".to_owned()]);
    let walls = "all namespaces, a root of its own, rlimits, a short filter";
    Rival::new("nsjail", "nsjail", walls, options, job)
}

fn firejail(job: &Job) -> Rival {
    let options = words(
        "--quiet --noprofile --net=none --ipc-namespace --private --private-dev --private-tmp \
         --caps.drop=all --nonewprivs --noroot --seccomp",
    );
    let walls = "namespaces, the host's files, its filter";
    Rival::new("firejail", "firejail", walls, options, job)
}

fn minijail(job: &Job, place: &Place) -> Rival {
    // Root becomes nobody. Others need a user namespace, in which they can make no devices and
    // remount nothing read-only.
    let (user, bound) =
        if geteuid().is_root() { ("-u 65534 -g 65534 -d", "0") } else { ("-U -m -M", "1") };
    let mut options = words("-p -v -e -l -N -t -n --uts -k proc,/proc,proc,0xe -P");
    options.push(place.root());
    options.extend(words(user));
    for path in iter::once("/usr").chain(system_directories()).filter(|it| !is_link(it)) {
        options.extend(words(&format!("-b {path},{path},{bound}")));
    }
    options.push("--".to_owned());
    let walls = "namespaces, a root of its own";
    Rival::new("minijail0", "minijail", walls, options, job)
}

fn crun(job: &Job, place: &Place) -> io::Result<Rival> {
    let bundle = place.bundle(job)?;
    let mut options = words("--cgroup-manager=disabled --root");
    options.push(place.state());
    options.extend(words("run --bundle"));
    options.push(bundle);
    options.push(format!("belljar-bench-{}", std::process::id()));
    let walls = "all namespaces, a root of its own, a short filter";
    let mut rival = Rival::new("crun", "crun", walls, Vec::new(), job);
    // The words of the job are in the bundle.
    rival.run = options;
    Ok(rival)
}

fn isolate(job: &Job) -> Rival {
    let walls = "namespaces, a root of its own, rlimits; with making and removing its box";
    let options = words("--box-id=987 --silent --processes=64 --run --");
    let mut rival = Rival::new("isolate", "isolate", walls, options, job);
    rival.before = words("--box-id=987 --init");
    rival.after = words("--box-id=987 --cleanup");
    rival
}

/// What a program needs beside `/usr`.
fn system_directories() -> impl Iterator<Item = &'static str> {
    ["/bin", "/lib", "/lib64"].into_iter().filter(|path| Path::new(path).exists())
}

fn is_link(path: &str) -> bool {
    Path::new(path).is_symlink()
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(ToOwned::to_owned).collect()
}

/// Looked for once: the kernel is not to be asked about every directory in every sample.
fn found(program: &str) -> Option<PathBuf> {
    let searched = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];
    let mut directories = env::split_paths(&searched).chain(usual.map(PathBuf::from));
    directories.find_map(|at| Some(at.join(program)).filter(|path| path.is_file()))
}

/// The number, with a blank before it.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").env_clear().output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_number =
        |word: &&str| word.contains('.') && word.chars().all(|it| it.is_ascii_digit() || it == '.');
    said.split_whitespace().find(is_number).map(|number| format!(" {number}"))
}

use std::fs;
use std::path::{Component, Path, PathBuf};

use belljar_protocol::{Link, Mount};

use crate::Error;

pub(super) const ALTERNATIVES: &[&str] = &["/etc/alternatives"];
/// Never `/etc/ssl` or `/etc/pki` as a whole: private keys lie there. The bundles suffice; the links
/// to single certificates beside them may lead nowhere.
pub(super) const CERTIFICATES: &[&str] = &[
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/usr/lib/ssl",
    "/etc/ca-certificates/extracted",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
];
pub(super) const TIMEZONES: &[&str] = &["/usr/share/zoneinfo"];
pub(super) const LOCALE: &[&str] = &["/usr/lib/locale"];

/// Trees that are shared by everything on a host, or hold somebody's files: of these only parts
/// are shown.
const TOO_WIDE: &[&str] = &[
    "/",
    "/etc",
    "/home",
    "/media",
    "/mnt",
    "/nix",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/srv",
    "/sys",
    "/dev",
    "/tmp",
    "/usr",
    "/usr/local",
    "/usr/share",
    "/var",
    "/var/lib",
    "/var/tmp",
    "/work",
];
/// What the jar puts in the place of the host's directory of the same name.
const REPLACED: [&str; 6] = ["/dev", "/proc", "/run", "/sys", "/tmp", "/work"];
/// Where what lies below one of them is shown instead.
const RELOCATED: &str = "/run/belljar/host";
/// Package stores whose programs find their libraries at paths all over the store.
const STORES: [&str; 3] = ["/nix/store", "/gnu/store", "/home/linuxbrew/.linuxbrew"];
const MERGED: [&str; 6] = ["/bin", "/sbin", "/lib", "/lib64", "/usr/lib64", "/usr/sbin"];

/// What of a host a jar shows, gathered piece by piece.
pub(super) struct Root {
    /// `/` but in tests.
    host: PathBuf,
    mounts: Vec<Mount>,
    links: Vec<Link>,
    /// Directories that are symbolic links on hosts with a merged /usr.
    merged: Vec<(PathBuf, PathBuf)>,
}

/// Whether a path is absolute and says what it means.
pub(super) fn is_plain(path: &str) -> bool {
    path.starts_with('/') && !path.contains('\0') && !path.split('/').any(|part| part == "..")
}

/// Whether a directory is one of those that are never shown whole.
pub(super) fn is_too_wide(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    path.is_empty()
        || TOO_WIDE.contains(&path)
        || path.ends_with("/.local")
        || Path::new(path).parent() == Some(Path::new("/home"))
        || std::env::home_dir().is_some_and(|home| home.starts_with(path))
}

impl Root {
    pub(super) fn new(host: &Path) -> Self {
        let mut this = Self {
            host: host.to_owned(),
            mounts: Vec::new(),
            links: Vec::new(),
            merged: Vec::new(),
        };
        for path in MERGED {
            if let Ok(text) = fs::read_link(this.on_host(Path::new(path))) {
                let at = PathBuf::from(path);
                this.link(&at, &text);
                let target = lexical(&at.parent().unwrap_or(&at).join(text));
                this.merged.push((at, target));
            }
        }
        this
    }

    /// Shows a file or directory where it lies on the host; nothing where there is none.
    pub(super) fn show(&mut self, path: &str) {
        let path = self.plain(Path::new(path));
        let is_wide = path.to_str().is_none_or(|path| !is_plain(path) || is_too_wide(path));
        if !is_wide && self.on_host(&path).exists() {
            self.mount(&path, &inside(&path));
        }
    }

    /// Shows the directories in which the dynamic loader looks.
    pub(super) fn show_libraries(&mut self, program: &Path) {
        let triple = format!("{}-linux-gnu", std::env::consts::ARCH);
        let multiarch = format!("/usr/lib/{triple}");
        if self.on_host(Path::new(&multiarch)).is_dir() {
            self.show(&multiarch);
            self.show(&format!("/lib/{triple}"));
            self.show("/lib64");
            self.show("/usr/lib64");
        } else if fs::symlink_metadata(self.on_host(Path::new("/usr/lib64")))
            .is_ok_and(|m| m.is_dir())
        {
            self.show("/usr/lib64");
            self.show("/lib64");
        } else {
            self.show("/usr/lib");
            self.show("/lib");
            self.show("/lib64");
        }
        self.show("/etc/ld.so.cache");
        if let Some(store) = STORES.iter().find(|store| program.starts_with(store)) {
            self.mount(Path::new(store), Path::new(store));
        }
    }

    /// Makes a path work that may lead through symbolic links, and says where it is in the jar.
    /// Called after everything else was shown.
    pub(super) fn follow(&mut self, path: &Path) -> Result<String, Error> {
        let start = self.plain(path);
        let mut at = start.clone();
        for _ in 0..40 {
            let Ok(text) = fs::read_link(self.on_host(&at)) else {
                if !self.covers(&at) {
                    self.mount(&at, &inside(&at));
                }
                return text_of(&inside(&start));
            };
            let next = self.plain(&lexical(&at.parent().unwrap_or(&at).join(&text)));
            if !self.covers(&at) {
                self.link(&inside(&at), &inside(&next));
            } else if is_replaced(&next) != (is_replaced(&at) && text.is_relative()) {
                return Err(Error::Invalid(format!(
                    "{} is a link to {}, which is out of reach inside a jar; use an interpreter \
                     outside /tmp, /run and /work",
                    at.display(),
                    next.display()
                )));
            }
            at = next;
        }
        Err(Error::Invalid(format!("{} leads through too many links", path.display())))
    }

    /// Shows one file at a place of the caller's choice.
    pub(super) fn mount(&mut self, source: &Path, target: &Path) {
        if let (Ok(source), Ok(target)) = (text_of(source), text_of(target)) {
            self.mounts.push(Mount { source, target });
        }
    }

    /// Everything shown, parents first; what another mount already shows is left out.
    pub(super) fn finish(mut self) -> (Vec<Mount>, Vec<Link>) {
        self.mounts.sort_by(|a, b| a.target.cmp(&b.target));
        let mut kept: Vec<Mount> = Vec::with_capacity(self.mounts.len());
        for mount in self.mounts {
            if !kept.iter().any(|above| Path::new(&mount.target).starts_with(&above.target)) {
                kept.push(mount);
            }
        }
        let is_free = |link: &Link| {
            !kept.iter().any(|above| Path::new(&link.path).starts_with(&above.target))
        };
        self.links.retain(is_free);
        self.links.sort_by(|a, b| a.path.cmp(&b.path));
        self.links.dedup();
        (kept, self.links)
    }

    fn link(&mut self, path: &Path, target: &Path) {
        if let (Ok(path), Ok(target)) = (text_of(path), text_of(target)) {
            self.links.push(Link { path, target });
        }
    }

    fn covers(&self, path: &Path) -> bool {
        let path = inside(path);
        self.mounts.iter().any(|mount| path.starts_with(&mount.target))
    }

    /// The path with the links of a merged /usr replaced by what they say.
    fn plain(&self, path: &Path) -> PathBuf {
        let mut path = path.to_owned();
        // `/lib64` may be a link to `usr/lib64`, itself a link.
        for _ in 0..2 {
            for (link, target) in &self.merged {
                if let Ok(rest) = path.strip_prefix(link) {
                    path = target.join(rest);
                }
            }
        }
        // Joining an empty rest leaves a slash at the end.
        path.components().collect()
    }

    fn on_host(&self, path: &Path) -> PathBuf {
        self.host.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Where the jar shows a path of the host.
fn inside(path: &Path) -> PathBuf {
    match path.strip_prefix("/") {
        Ok(rest) if is_replaced(path) => Path::new(RELOCATED).join(rest),
        _ => path.to_owned(),
    }
}

fn is_replaced(path: &Path) -> bool {
    REPLACED.iter().any(|replaced| path.starts_with(replaced))
}

/// The path without `.` and `..`, as text alone.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

fn text_of(path: &Path) -> Result<String, Error> {
    let text = path.to_str().filter(|text| !text.contains('\0'));
    text.map(str::to_owned)
        .ok_or_else(|| Error::Invalid(format!("path {} is not valid UTF-8", path.display())))
}

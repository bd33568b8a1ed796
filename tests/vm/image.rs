use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use belljar_tests::built;

/// Programs that payloads use, where every Debian has them.
const PROGRAMS: [&str; 5] =
    ["/bin/bash", "/usr/bin/sleep", "/usr/bin/tail", "/usr/bin/setsid", "/usr/bin/true"];
/// Set-user-id helpers that write the maps of a user namespace; without them there is one way less
/// to be an ordinary user.
const HELPERS: [&str; 2] = ["/usr/bin/newuidmap", "/usr/bin/newgidmap"];
const DIRECTORIES: [&str; 14] = [
    "belljar",
    "dev",
    "etc",
    "home",
    "newroot",
    "proc",
    "run",
    "sys",
    "tmp",
    "usr",
    "usr/bin",
    "usr/lib",
    "usr/lib64",
    "work",
];
const LINKS: [(&str, &str); 4] =
    [("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64"), ("init", "belljar/vm")];
const FILES: [(&str, &str); 4] = [
    (
        "etc/passwd",
        "root:x:0:0::/:/bin/bash\nlot:x:1000:1000::/:/bin/bash\nalone:x:1001:1001::/:/bin/bash\n\
         poor:x:1002:1002::/:/bin/bash\n",
    ),
    ("etc/group", "root:x:0:\nlot:x:1000:\nalone:x:1001:\npoor:x:1002:\n"),
    ("etc/subuid", "lot:100000:65536\n"),
    ("etc/subgid", "lot:100000:65536\n"),
];

/// The root file system of a machine, as the archive that a kernel unpacks into memory (cpio(5),
/// the format "newc").
pub(crate) fn image() -> Vec<u8> {
    let mut archive = Archive(Vec::new());
    for directory in DIRECTORIES {
        archive.add(directory, 0o040_755, &[]);
    }
    for (link, target) in LINKS {
        archive.add(link, 0o120_777, target.as_bytes());
    }
    for (file, text) in FILES {
        archive.add(file, 0o100_644, text.as_bytes());
    }
    let mut programs: Vec<(PathBuf, String)> = ["belljar-worker", "belljar-js"]
        .into_iter()
        .map(|name| (built(name), format!("belljar/{name}")))
        .collect();
    programs.push((std::env::current_exe().expect("the running test"), "belljar/vm".to_owned()));
    for path in PROGRAMS.into_iter().chain(HELPERS) {
        if Path::new(path).exists() {
            programs.push((PathBuf::from(path), format!("usr/bin/{}", file_name(path))));
        }
    }
    let mut libraries = BTreeSet::new();
    for (source, name) in &programs {
        let mode = fs::metadata(source).expect("a program").permissions().mode() & 0o7777;
        archive.add(name, 0o100_000 | mode | 0o555, &fs::read(source).expect("a program"));
        libraries.extend(needed(source));
    }
    for directory in parents(&libraries) {
        archive.add(&directory, 0o040_755, &[]);
    }
    for library in &libraries {
        let bytes = fs::read(library).unwrap_or_else(|error| panic!("{library}: {error}"));
        archive.add(&merged(library), 0o100_755, &bytes);
    }
    archive.finish()
}

/// The shared libraries of a program with their loader, as the loader finds them (ldd(1)).
fn needed(program: &Path) -> Vec<String> {
    let output = Command::new("ldd").arg(program).output().expect("ldd, part of glibc");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    words.map(|word| word.trim_end_matches(':').to_owned()).collect()
}

/// The place of a library where `/lib` is a link to `/usr/lib`.
fn merged(path: &str) -> String {
    let path = path.trim_start_matches('/');
    if path.starts_with("lib") { format!("usr/{path}") } else { path.to_owned() }
}

fn parents(paths: &BTreeSet<String>) -> BTreeSet<String> {
    let parents = paths.iter().flat_map(|path| {
        let path = PathBuf::from(merged(path));
        let above: Vec<String> =
            path.ancestors().skip(1).map(|parent| parent.to_string_lossy().into_owned()).collect();
        above
    });
    parents.filter(|path| !path.is_empty() && !DIRECTORIES.contains(&path.as_str())).collect()
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

struct Archive(Vec<u8>);

impl Archive {
    fn add(&mut self, name: &str, mode: u32, contents: &[u8]) {
        let size = u32::try_from(contents.len()).expect("a file below 4 GiB");
        let name_size = u32::try_from(name.len() + 1).expect("a short name");
        let number = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let header = [number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0];
        self.0.extend_from_slice(b"070701");
        self.0.extend(header.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
        self.pad();
        self.0.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.0
    }
}

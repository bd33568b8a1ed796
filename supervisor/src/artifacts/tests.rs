use std::ffi::CString;
use std::fs::{self, hard_link};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;

/// What was collected and what was said of a directory that `build` filled.
fn check(build: impl FnOnce(&Path), wanted: &[&str]) -> (Vec<(String, usize)>, Vec<String>) {
    let root = tempfile::tempdir().unwrap();
    build(root.path());
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let work = nix::fcntl::open(root.path(), flags, Mode::empty()).unwrap();
    let wanted: Vec<_> = wanted.iter().map(|text| Pattern::parse(text).unwrap()).collect();
    let placed = HashSet::from(["input.csv"]);
    let (found, errors) = collect(work.as_fd(), &wanted, &placed, 3, 1000);
    assert!(errors.iter().all(|line| !line.chars().any(char::is_control)), "{errors:?}");
    assert!(errors.len() <= MAX_ERRORS);
    let found = found.iter().map(|file| (file.path.display().to_string(), file.bytes.len()));
    (found.collect(), errors)
}

fn write(path: impl AsRef<Path>, bytes: usize) {
    fs::write(path, vec![7; bytes]).unwrap();
}

#[test]
fn wanted_files_come_in_order_with_their_type() {
    let (found, errors) = check(
        |root| {
            fs::create_dir_all(root.join("out/deep")).unwrap();
            write(root.join("out/deep/b.json"), 2);
            write(root.join("a.json"), 1);
            write(root.join("other.txt"), 3);
            write(root.join("input.csv"), 4);
        },
        &["**/*.json", "*.csv"],
    );
    assert_eq!(found, [("a.json".to_owned(), 1), ("out/deep/b.json".to_owned(), 2)]);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(check(|root| write(root.join("input.csv"), 4), &["input.csv"]).0.len(), 1);
    assert_eq!(media_type("out/Plot.PNG"), "image/png");
    assert_eq!(media_type("png"), "application/octet-stream");
}

#[test]
fn what_was_not_left_is_said() {
    let (found, errors) =
        check(|root| fs::create_dir(root.join("out")).unwrap(), &["*.png", "out"]);
    assert!(found.is_empty());
    assert_eq!(
        errors,
        ["out: a directory; add /** for all files in it", "*.png: no such file was left"]
    );
}

#[test]
fn no_link_is_followed_and_nothing_but_files_is_read() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path().join("secret"), 5);
    let start = Instant::now();
    let (found, errors) = check(
        |root| {
            symlink("/etc/passwd", root.join("passwd")).unwrap();
            symlink("/proc/self/root/etc/shadow", root.join("shadow")).unwrap();
            symlink(outside.path(), root.join("directory")).unwrap();
            mkfifo(&root.join("fifo.json"), Mode::S_IRWXU).unwrap();
            drop(std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap());
        },
        &["**/*"],
    );
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(errors.len(), 5, "{errors:?}");
    assert!(errors.contains(&"fifo.json: a FIFO is never collected".to_owned()));
    assert!(errors.contains(&"shadow: a symbolic link is never collected".to_owned()));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_name_swapped_after_it_was_listed_opens_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    symlink("/etc", root.path().join("etc")).unwrap();
    symlink("/etc/passwd", root.path().join("passwd")).unwrap();
    mkfifo(&root.path().join("fifo"), Mode::S_IRWXU).unwrap();
    let work = File::open(root.path()).unwrap();
    let (wanted, placed) = ([Pattern::parse("*").unwrap()], HashSet::new());
    let mut collector = Collector {
        work: work.as_fd(),
        wanted: &wanted,
        placed: &placed,
        most: 9,
        left_bytes: 9000,
        matched: vec![false],
        artifacts: Vec::new(),
        seen: HashMap::new(),
        errors: Vec::new(),
        unsaid: 0,
    };
    for path in ["passwd", "etc/passwd", "../x", "/etc/passwd"] {
        let refused = collector.take(path).unwrap_err().raw_os_error().unwrap();
        assert!([Errno::ELOOP as i32, Errno::EXDEV as i32].contains(&refused), "{path}");
    }
    collector.take("fifo").unwrap();
    assert!(collector.artifacts.is_empty());
    assert_eq!(collector.errors, ["fifo: a FIFO is never collected"]);
}

#[test]
fn budgets_hold_for_sparse_files_many_files_and_hard_links() {
    let (found, errors) =
        check(|root| File::create(root.join("huge")).unwrap().set_len(1 << 40).unwrap(), &["*"]);
    assert!(found.is_empty());
    assert_eq!(errors, ["huge: 1099511627776 bytes, and 1000 may still be collected"]);
    let (found, errors) =
        check(|root| (0..9).for_each(|n| write(root.join(format!("{n}")), 1)), &["*"]);
    assert_eq!((found.len(), errors.len()), (3, 6));
    let (found, errors) =
        check(|root| (0..3).for_each(|n| write(root.join(format!("{n}")), 450)), &["*"]);
    assert_eq!((found.len(), errors.len()), (2, 1));
    let twice = |root: &Path| {
        write(root.join("one"), 600);
        hard_link(root.join("one"), root.join("two")).unwrap();
    };
    let (found, errors) = check(twice, &["*"]);
    assert_eq!((found.len(), errors.len()), (1, 1), "{errors:?}");
    assert!(errors[0].contains("collected once"));
}

#[test]
fn hostile_names_are_reported_and_not_collected() {
    let names: [&[u8]; 5] =
        [b"a\nb.txt", b"\xff.txt", b"\x1b[31mred.txt", b"c\rd.txt", "\u{202e}gnp.txt".as_bytes()];
    let (found, errors) = check(
        |root| names.iter().for_each(|name| write(root.join(OsStr::from_bytes(name)), 1)),
        &["*.txt"],
    );
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(errors.len(), 5, "{errors:?}");
    let hidden = |root: &Path| {
        fs::create_dir(root.join("x\ny")).unwrap();
        write(root.join("x\ny/a.txt"), 1);
    };
    assert_eq!(check(hidden, &["**"]).0, []);
}

#[test]
fn depth_and_complaints_are_bounded() {
    let deep = |root: &Path| {
        let mut at = File::open(root).unwrap();
        let name = CString::new("d".repeat(200)).unwrap();
        for _ in 0..100 {
            nix::sys::stat::mkdirat(&at, name.as_c_str(), Mode::S_IRWXU).unwrap();
            at = nix::fcntl::openat(&at, name.as_c_str(), OFlag::O_DIRECTORY, Mode::empty())
                .unwrap()
                .into();
        }
    };
    let (found, errors) = check(deep, &["**/*.txt"]);
    // Long names end the walk before its depth does: a path has 4096 bytes at most.
    assert_eq!((found.len(), errors.len()), (0, 2), "{errors:?}");
    assert!(errors[0].contains("too long"), "{errors:?}");
    let short = |root: &Path| fs::create_dir_all(root.join("d/".repeat(50))).unwrap();
    assert!(check(short, &["**/*.txt"]).1[0].contains("deeper than 32"));
    let many = |root: &Path| (0..300).for_each(|n| symlink("x", root.join(n.to_string())).unwrap());
    let (_, errors) = check(many, &["*"]);
    assert_eq!((errors.len(), errors[99].as_str()), (100, "and 201 more"));
}

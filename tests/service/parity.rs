//! What comes out is the same, wherever it ran.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Output;

use belljar_tests::{Test, tests};
use serde_json::Value;

use crate::served::{Served, belljar};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_run_through_the_socket_is_a_run(Bash),
        a_run_out_of_memory_is_told_alike(Bash, Cgroup),
        files_come_out_as_they_went_in(Bash),
        json_has_the_same_members(),
        explanations_have_the_same_sections(),
    ]
}

const JS: [&str; 2] = ["-r", "js"];
const BASH: [&str; 2] = ["-r", "bash"];

/// Where its files are: relative paths are of this directory.
fn cases() -> Vec<(&'static str, Vec<&'static str>)> {
    let js = |more: &[&'static str]| [&JS[..], more].concat();
    let bash = |more: &[&'static str]| [&BASH[..], more].concat();
    vec![
        ("both streams", js(&["-c", "console.log('o'); console.error('e')"])),
        ("exit code", bash(&["-c", "exit 42"])),
        ("signal", bash(&["-c", "kill -SEGV $$"])),
        ("exception", js(&["-c", "throw new Error('no')"])),
        ("wall", js(&["--wall", "300ms", "-c", "for (;;) {}"])),
        ("cpu", js(&["--cpu", "200ms", "-c", "for (;;) {}"])),
        ("truncated", bash(&["--stdout-limit", "1K", "-c", "head -c 5000 /dev/zero"])),
        (
            "too much output",
            bash(&["--stdout-limit", "1K", "--on-output-limit", "kill", "-c", "yes"]),
        ),
        ("binary output", bash(&["-c", "printf '\\377\\000\\n'; printf '\\376' >&2"])),
        ("long output", bash(&["-c", "seq 1 100000"])),
        ("arguments", bash(&["-c", "printf '%s|' \"$@\"", "--", "-x", "a b", "ä", ""])),
        ("environment", bash(&["--env", "A=b c", "--env", "E=", "-c", "echo \"$A|${E-unset}\""])),
        ("standard input", bash(&["--stdin", "binary", "-c", "od -An -tx1"])),
        ("secret", bash(&["--secret", "KEY@binary", "-c", "cat /run/secrets/KEY | od -An -tx1"])),
        ("redaction", bash(&["--secret", "KEY=hunter2hunter2", "-c", "echo hunter2hunter2"])),
        ("files", bash(&["--file", "binary:data/in", "-c", "od -An -tx1 data/in"])),
        ("a file of code", vec!["code.js", "--file", "binary"]),
        ("denial", bash(&["-c", "exec 3<>/dev/tcp/127.0.0.1/9; exit 3"])),
        ("loopback", bash(&["--allow-net", "loopback", "-c", "exec 3<>/dev/tcp/127.0.0.1/9"])),
        ("mode off", js(&["--mode", "off", "-c", "1"])),
        ("no place", js(&["--allow-net", "a", "-c", "1"])),
        ("floor", js(&["--floor", "L1", "-c", "1"])),
        ("unknown runtime", vec!["-r", "cobol", "-c", "1"]),
        ("unknown runtime as json", vec!["--json", "-r", "cobol", "-c", "1"]),
        ("limit of nothing", js(&["--wall", "0", "-c", "1"])),
        ("limit beyond all", js(&["--memory", "900T", "-c", "1"])),
        ("bad variable", js(&["--env", "BELLJAR_X=1", "-c", "1"])),
        ("bad name of a file", js(&["--file", "binary:../up", "-c", "1"])),
        ("bad glob", js(&["--out", ".", "--collect", "/etc/*", "-c", "1"])),
        ("code that is no text", vec!["-r", "js", "binary"]),
    ]
}

async fn a_run_through_the_socket_is_a_run() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("binary"), b"\xff\x00 binary \xfe").unwrap();
    fs::write(directory.path().join("code.js"), "console.log('from a file')").unwrap();
    let same = ["--set", "ceiling.memory_bytes=64G"];
    for options in [&[][..], &["--warm", "js,bash"]] {
        let served = Served::start(&[&same[..], options].concat());
        for (name, args) in cases() {
            let here = belljar(&[&["run"], &args[..]].concat());
            let here = seen({ here }.current_dir(directory.path()).output().unwrap());
            let there = served.command(&args).current_dir(directory.path()).output().unwrap();
            assert_eq!(seen(there), here, "{name} {options:?}");
        }
    }
}

/// Without a cgroup, whether an allocation fails or a look at the memory comes first is chance.
async fn a_run_out_of_memory_is_told_alike() {
    let args = ["-r", "bash", "--memory", "32M", "-c", "x=$(head -c 100M /dev/zero | tr '\\0' x)"];
    let here = seen(belljar(&[&["run"], &args[..]].concat()).output().unwrap());
    assert_eq!(here.0, Some(137), "{here:?}");
    for options in [&[][..], &["--warm", "bash"]] {
        assert_eq!(seen(Served::start(options).run(&args)), here, "{options:?}");
    }
}

/// Exit status, output and what is said.
fn seen(output: Output) -> (Option<i32>, Vec<u8>, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), output.stdout, said)
}

async fn files_come_out_as_they_went_in() {
    let served = Served::start(&["--warm", "bash"]);
    let code = "mkdir -p a/b; printf '\\377\\000' > a/b/c.bin; echo t > t.txt; printf x > $'odd\\377'; \
                ln -s /etc/passwd l; exit 4";
    let collect = |command: &mut std::process::Command, out: &Path| {
        let status = command.arg("--out").arg(out).stderr(File::open("/dev/null").unwrap());
        (status.status().unwrap().code(), tree(out, out))
    };
    let directory = tempfile::tempdir().unwrap();
    let (near, far) = (directory.path().join("near"), directory.path().join("far"));
    let here = collect(&mut belljar(&["run", "-r", "bash", "-c", code]), &near);
    let there = collect(&mut served.command(&["-r", "bash", "-c", code]), &far);
    assert_eq!(here.1.len(), 2, "{here:?}");
    assert_eq!(there, here);
}

fn tree(root: &Path, below: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(below).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(tree(root, &path));
        } else {
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

async fn json_has_the_same_members() {
    let served = Served::start(&[]);
    let args = ["--json", "-r", "js", "--collect", "*", "-c", "console.log('\\u009b'); throw 1"];
    let there: Value = serde_json::from_slice(&served.run(&args).stdout).unwrap();
    let here = belljar(&[&["run"], &args[..]].concat()).output().unwrap();
    let here: Value = serde_json::from_slice(&here.stdout).unwrap();
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&there), members(&here));
    for same in
        ["runtime", "status", "exit_code", "message", "stdout", "stderr", "encoding", "limits"]
    {
        assert_eq!(there[same], here[same], "{same}");
    }
    let states = |value: &Value| {
        let rows = value["receipt"]["layers"].as_array().unwrap();
        rows.iter().map(|row| row["state"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(states(&there), states(&here));
}

async fn explanations_have_the_same_sections() {
    let served = Served::start(&[]);
    let args = ["--explain", "-r", "js", "-c", "1"];
    let sections = |output: Output| {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let titles = text.lines().filter(|line| line.ends_with(':') && !line.starts_with(' '));
        titles.map(str::to_owned).collect::<Vec<_>>()
    };
    let here = sections(belljar(&[&["run"], &args[..]].concat()).output().unwrap());
    assert!(here.contains(&"layers:".to_owned()), "{here:?}");
    assert_eq!(sections(served.run(&args)), here);
}

//! Against the interpreters of this host.

use super::*;

/// An executable script. Another process writes it: while this one had it open, another test
/// that forks would keep it from being executed (`ETXTBSY`).
fn script(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    let write = "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\"";
    let status = Command::new("/bin/sh").args(["-c", write]).arg(&path).arg(text).status().unwrap();
    assert!(status.success());
    path
}

#[test]
fn an_installed_interpreter_answers_and_a_missing_one_is_named_with_its_package() {
    for name in Runtimes::builtin().names().filter(|name| *name != "native") {
        match runtime(name).resolve(None) {
            Ok(interpreter) => {
                assert!(interpreter.program().is_file(), "{interpreter:?}");
                assert!(!interpreter.version().is_empty(), "{interpreter:?}");
                let launched = launch(&interpreter, &Source::code(""));
                assert!(!launched.mounts.is_empty(), "{launched:?}");
            }
            Err(error) => {
                assert_eq!(error.code(), "unknown_runtime");
                assert!(error.to_string().starts_with(&format!("{name} is not ")), "{error}");
                assert!(error.to_string().contains("install "), "{error}");
                // These are everywhere: their absence is a failure of ours.
                assert!(!["sh", "bash", "python"].contains(&name), "{error}");
            }
        }
    }
}

#[test]
fn what_is_no_interpreter_is_refused_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    for (program, reason) in [
        (script(at, "silent", "#!/bin/sh\n"), "it does not say its version"),
        (script(at, "babbles", "#!/bin/sh\necho hello\n"), "it answers \"hello\""),
        (script(at, "endless", "#!/bin/sh\nwhile :; do echo version=3.11; done\n"), "is too long"),
        (script(at, "fails", "#!/bin/sh\necho first >&2; echo second >&2; exit 3\n"), ": second"),
        (script(at, "old", "#!/bin/sh\necho version=3.8.1\n"), "is Python 3.8.1, but 3.9 or newer"),
        (at.to_owned(), "a directory without bin/python"),
        (PathBuf::from("/etc/passwd"), "not an executable file"),
        (at.join("none"), "No such file"),
    ] {
        let error = runtime("python").resolve(Some(&program)).unwrap_err();
        assert_eq!(error.code(), "invalid_request");
        let text = error.to_string();
        assert!(text.contains(reason) && !text.contains('\n'), "{text:?} lacks {reason:?}");
    }
    let error = refusal(runtime("bash").resolve(Some(at)));
    assert!(error.ends_with("is not a bash interpreter: a directory"), "{error}");
    assert!(refusal(runtime("native").resolve(Some(at))).contains("has no interpreter"));
}

#[test]
fn what_is_broken_on_the_path_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    script(directory.path(), "sh", "#!/bin/bash\nexit 1\n");
    let found = find::first_usable(&runtime("sh").0, directory.path().as_os_str()).unwrap();
    assert!(!found.program().starts_with(directory.path()), "{found:?}");

    let text = BUILTIN_TEXTS[3].replace("[\"sh\"]", "[\"belljar-no-such-shell\"]");
    let absent = Runtime(Arc::new(Description::parse(&text).unwrap()));
    let error = refusal(find::first_usable(&absent.0, OsStr::new("")));
    assert_eq!(error, "sh is not installed: install dash (Debian, Fedora, Arch), busybox (Alpine)");
    script(directory.path(), "belljar-no-such-shell", "#!/bin/sh\nexit 1\n");
    let error = refusal(find::first_usable(&absent.0, directory.path().as_os_str()));
    assert!(error.starts_with("sh is not usable: ") && error.contains("it ended with"), "{error}");
}

#[test]
fn a_kept_answer_is_believed_only_while_nobody_else_could_have_written_it() {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("kept");
    let program = script(directory.path(), "python3", "#!/bin/sh\necho version=3.11.1\n");
    let python = runtime("python").0;
    // What is held in memory is held by directory: another one is another process's view.
    let ask = |cache: &Path| Cache::at(cache).facts(&python, &program).unwrap().version;
    assert_eq!(ask(&kept), "3.11.1");
    let entry = fs::read_dir(&kept).unwrap().next().unwrap().unwrap();
    let text = fs::read_to_string(entry.path()).unwrap();
    assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    // The answer is changed on disk, so that it shows whether it was read.
    let copy = |name: &str, text: &str, mode: u32, directory_mode: u32| {
        let at = directory.path().join(name);
        fs::create_dir(&at).unwrap();
        let file = at.join(entry.file_name());
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(directory_mode)).unwrap();
        at
    };
    let changed = text.replace("version=3.11.1", "version=3.99");
    assert_eq!(ask(&copy("trusted", &changed, 0o600, 0o700)), "3.99");
    assert_eq!(ask(&copy("open-file", &changed, 0o620, 0o700)), "3.11.1");
    assert_eq!(ask(&copy("open-directory", &changed, 0o600, 0o777)), "3.11.1");
    assert_eq!(ask(&copy("damaged", "belljar", 0o600, 0o700)), "3.11.1");
    let elsewhere = changed.replace("program=", "program=/bin/sh\nprogram=/etc/passwd#");
    assert_eq!(ask(&copy("elsewhere", &elsewhere, 0o600, 0o700)), "3.11.1");
    let linked = copy("linked", "", 0o600, 0o700);
    fs::remove_file(linked.join(entry.file_name())).unwrap();
    symlink(
        directory.path().join("trusted").join(entry.file_name()),
        linked.join(entry.file_name()),
    )
    .unwrap();
    assert_eq!(ask(&linked), "3.11.1");

    // A program that changed is asked again, whatever is kept.
    script(directory.path(), "python3", "#!/bin/sh\necho version=3.12.10\n");
    assert_eq!(ask(&kept), "3.12.10");
}

/// Runs code under a bootstrap with two secrets on descriptor 3, outside any jar.
fn with_secrets(runtime_name: &str, arguments: &[&str], code: &str) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let Ok(interpreter) = runtime(runtime_name).resolve(None) else { return None };
    let mut records = Vec::new();
    for (name, value) in [("KEY", &b"hunter2"[..]), ("RAW", b"\xff\x00")] {
        for field in [name.as_bytes(), value] {
            records.extend(u32::try_from(field.len()).unwrap().to_le_bytes());
            records.extend(field);
        }
    }
    let (main, pipe) = (directory.path().join("main"), directory.path().join("records"));
    fs::write(&main, code).unwrap();
    fs::write(&pipe, records).unwrap();
    let guests = concat!(env!("CARGO_MANIFEST_DIR"), "/../worker/guests");
    let output = Command::new("/bin/sh")
        .args(["-c", "cat \"$0\" | { exec 3<&0 0</dev/null; exec \"$@\"; }"])
        .arg(&pipe)
        .arg(interpreter.program())
        .args(arguments.iter().map(|argument| argument.replace("GUESTS", guests)))
        .arg(&main)
        .env_clear()
        .env("BELLJAR_SECRETS_FD", "3")
        .env("PYTHONPATH", format!("{guests}/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn python_reads_its_secrets_once_and_cannot_write_them() {
    let code = r#"
import belljar, collections.abc, os, pickle, subprocess, sys
s = belljar.secrets
print(isinstance(s, collections.abc.Mapping), sorted(s), len(s), "KEY" in s, "NONE" in s, s["KEY"], s["RAW"], repr(s))
def fails(action):
    try:
        action()
    except Exception as error:
        return type(error).__name__
def assign(): s["KEY"] = 1
def delete(): del s["KEY"]
def attribute(): s.x = 1
print(fails(assign), fails(delete), fails(attribute), fails(lambda: s.__dict__), fails(lambda: s["NONE"]), fails(lambda: pickle.dumps(s)), fails(lambda: os.fstat(3)))
print(os.environ.get("BELLJAR_SECRETS_FD"), flush=True)
subprocess.run([sys.executable, "-c", "import belljar; print(len(belljar.secrets))"])
if os.fork() == 0:
    print(len(belljar.secrets), flush=True)
    os._exit(0)
os.wait()
"#;
    let expected = "True ['KEY', 'RAW'] 2 True False hunter2 b'\\xff\\x00' <belljar.secrets: KEY, RAW>\n\
        TypeError TypeError TypeError AttributeError KeyError TypeError OSError\nNone\n0\n0\n";
    assert_eq!(with_secrets("python", &[], code).unwrap(), expected);
}

#[test]
fn node_reads_its_secrets_once_and_cannot_write_them() {
    let code = r"
const s = belljar.secrets, fs = require('fs'), util = require('util');
const fails = (action) => { try { action(); return 'nothing'; } catch (error) { return error.name; } };
console.log(Object.keys(s).join(), s.KEY, s.RAW, s.NONE, Object.getPrototypeOf(s), Object.isFrozen(s));
console.log(util.inspect(belljar).includes('hunter2'), 'KEY' in s);
console.log([() => { s.KEY = 1; }, () => { s.NEW = 1; }, () => { delete s.KEY; }, () => Object.setPrototypeOf(s, {}),
  () => Object.defineProperty(s, 'KEY', { value: 1 }), 
  () => { if (!fs.fstatSync(3).isFIFO()) throw new Error('closed'); }].map(fails).join());
belljar = 1;
console.log(typeof belljar, process.env.BELLJAR_SECRETS_FD, require('os').cpus().length > 0);
";
    let expected = "KEY,RAW hunter2 <Buffer ff 00> undefined null true\nfalse true\n\
        TypeError,TypeError,TypeError,TypeError,TypeError,Error\nobject undefined true\n";
    let arguments = ["--require", "GUESTS/node/bootstrap.cjs"];
    // Without Node there is nothing to read secrets; that it is missing is for
    // `an_installed_interpreter_answers_…` to say.
    if let Some(printed) = with_secrets("node", &arguments, code) {
        assert_eq!(printed, expected);
    }
}

//! What belljar tells of itself in the form of others.

use std::fs;
use std::process::{Command, Stdio};

use super::{is_refused, run, text};

/// What clap lists, with what it does not.
fn commands() -> Vec<String> {
    let help = run(&["--help"]);
    let listed = text(&help.stdout).lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    let words = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let words = words.filter(|word| !word.is_empty() && *word != "help");
    let commands: Vec<_> = words.map(ToOwned::to_owned).collect();
    assert!(commands.contains(&"run".to_owned()) && !commands.contains(&"dial-stdio".to_owned()));
    [commands, vec!["dial-stdio".to_owned()]].concat()
}

#[test]
fn every_command_has_a_page() {
    let main = run(&["man"]);
    assert!(main.status.success() && text(&main.stdout).contains(".TH belljar 1"), "{main:?}");
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("man1");
    let written = run(&["man", "--dir", below.to_str().unwrap()]);
    assert!(written.status.success() && written.stdout.is_empty(), "{written:?}");
    assert_eq!(fs::read(below.join("belljar.1")).unwrap(), main.stdout);
    let commands = commands();
    for command in &commands {
        let page = run(&["man", command]);
        let name = format!("belljar-{command}");
        assert!(text(&page.stdout).contains(&format!(".TH {name} 1")), "{page:?}");
        assert_eq!(fs::read(below.join(format!("{name}.1"))).unwrap(), page.stdout);
        let listed = name.replace('-', "\\-");
        assert!(text(&main.stdout).contains(&listed), "{listed} is not listed");
    }
    assert_eq!(fs::read_dir(below).unwrap().count(), commands.len() + 1);
    is_refused(&run(&["man", "fly"]), "belljar-fly");
    is_refused(&run(&["man", "--dir", "/proc/none"]), "/proc/none");
}

#[test]
fn shells_are_told_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert!(script.status.success(), "{script:?}");
        for command in ["serve", "doctor", "completions"] {
            assert!(text(&script.stdout).contains(command), "{shell}: {command}");
        }
    }
    let script = run(&["completions", "bash"]);
    let complete = "COMP_WORDS=(belljar run --ho); COMP_CWORD=2; _belljar belljar --ho run; \
                    echo \"${COMPREPLY[*]}\"";
    let completed = Command::new("bash")
        .args(["-c", &format!("{}\n{complete}", text(&script.stdout))])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(text(&completed.stdout), "--host\n", "{completed:?}");
    is_refused(&run(&["completions", "csh"]), "csh");
}

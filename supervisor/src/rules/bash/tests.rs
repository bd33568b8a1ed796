use std::time::Instant;

use super::check;
use crate::rules::{Mode, Rules};

fn ids(source: &str, mode: Mode, added: &[&str]) -> Vec<(u32, u32, &'static str)> {
    let modules = added.iter().map(|name| (*name).to_owned()).collect();
    let found = check(source, &Rules { mode, modules });
    found.iter().map(|it| (it.line, it.column, it.rule)).collect()
}

#[test]
fn findings_say_where() {
    let source = "echo é; python3 -c x\n  e\\val 'echo'\n\"$cmd\" x\nPATH=/x ls\n";
    let expected = [
        (1, 9, "bash/command"),
        (2, 3, "bash/code"),
        (3, 1, "bash/dynamic"),
        (4, 1, "bash/variable"),
    ];
    assert_eq!(ids(source, Mode::Standard, &[]), expected);
}

#[test]
fn commands_are_those_of_the_mode() {
    assert_eq!(ids("seq 3 | wc -l", Mode::Standard, &[]), []);
    assert_eq!(ids("seq 3 | wc -l", Mode::Restricted, &[]).len(), 2);
    assert_eq!(ids("python3 x.py", Mode::Standard, &["python3"]), []);
    assert_eq!(ids("python3 x.py", Mode::Restricted, &["python3"]).len(), 1);
}

#[test]
fn functions_are_called_once_they_are_defined() {
    assert_eq!(ids("f() { echo \"$1\"; }\nf 1", Mode::Restricted, &[]), []);
    assert_eq!(ids("python3 -c x\npython3() { :; }", Mode::Restricted, &[]).len(), 1);
    assert_eq!(ids("if false; then nc() { :; }; fi; nc x", Mode::Standard, &[]).len(), 1);
}

#[test]
fn commands_of_commands_are_commands() {
    for source in [
        "command python3",
        "env -u X A=1 python3",
        "nice -n 5 timeout 3 nc x",
        "xargs -n 1 sh",
        "find . -exec sh -c x {} +",
        "builtin eval x",
        "time nc x",
        "trap 'nc x' EXIT",
        "awk 'BEGIN { system(\"id\") }'",
        "sed 's/a/b/e'",
        "tar -xf x --to-command=sh",
    ] {
        assert_eq!(ids(source, Mode::Standard, &[]).len(), 1, "{source}");
    }
    for source in [
        "command -v python3",
        "env A=1 sort",
        "timeout 3 sleep 1",
        "xargs -n 1 echo",
        "find . -name '*.txt' -exec wc -l {} +",
        "trap 'rm -f x' EXIT",
        "trap - EXIT",
        "awk -F'|' '{ print $1 }'",
        "sed 's/e/e/g; 2d'",
    ] {
        assert_eq!(ids(source, Mode::Standard, &[]), [], "{source}");
    }
}

#[test]
fn what_nests_too_deep_is_refused_in_no_time() {
    let shapes = [
        ("(", "x", ")"),
        ("{ ", "x", "; }"),
        ("$(", "x", ")"),
        ("\"$(", "x", ")\""),
        ("`", "x", "`"),
        ("if ", "x", "; then :; fi"),
        ("while ", "x", "; do :; done"),
        ("! ", "x", ""),
        ("x && ", "x", ""),
        ("x | ", "x", ""),
        ("${x:-", "", "}"),
        ("$((", "1", "))"),
        ("[[ ! ", "x", " ]]"),
        ("<(", "x", ")"),
        ("case x in x) ", "x", ";; esac"),
        ("f() ", "x", ""),
        ("<<x ", "", "\nx\n"),
        ("a=(", "", ")"),
        ("\"", "", ""),
        ("<", "", ""),
        ("x=", "", ""),
        ("[", "", "]"),
        ("\\", "", ""),
        ("$'", "", ""),
        ("{", "", ","),
        ("((", "1", "))"),
    ];
    for (open, middle, close) in shapes {
        for count in [50, 5000, (1 << 20) / (open.len() + close.len())] {
            let source = open.repeat(count) + middle + &close.repeat(count);
            let start = Instant::now();
            check(&source, &Rules { mode: Mode::Restricted, ..Rules::default() });
            let spent = start.elapsed();
            // An unoptimised build, on a machine that does other things as well.
            assert!(spent.as_millis() < 2000, "{open} {count}: {spent:?}");
        }
    }
}

#[test]
fn long_scripts_that_do_not_nest_pass() {
    let lines = "for f in *.txt; do\n  n=$(wc -l < \"$f\")\n  echo \"${f%.txt}: $n\"\ndone\n";
    assert_eq!(ids(&lines.repeat(300), Mode::Standard, &[]), []);
}

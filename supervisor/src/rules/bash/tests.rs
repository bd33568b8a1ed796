use std::time::Duration;

use super::check;
use crate::rules::hostile::work_of;
use crate::rules::{Mode, Rules};

/// For an unoptimised build, on a slow machine; what nests takes hours, if it takes time.
const NO_TIME: Duration = Duration::from_secs(10);

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

fn are_refused(sources: &[&str]) {
    for source in sources {
        assert!(!ids(source, Mode::Standard, &["python3"]).is_empty(), "{source}");
    }
}

fn are_allowed(sources: &[&str]) {
    for source in sources {
        assert_eq!(ids(source, Mode::Standard, &[]), [], "{source}");
    }
}

#[test]
fn sums_in_here_documents_are_no_commands() {
    are_allowed(&[
        "cat <<EOF\ntotal $((1+2)) $((x)) $((a[i] > 3 ? 1 : 2))\nEOF\n",
        "cat > f <<EOF\n{\"a\": $((2)), \"b\": [$((1)),$((2))]}\nEOF\n",
        "cat <<-EOF\n\t$((x+(2*3)))\n\tEOF\n",
        "x=$(cat <<EOF\n$((1+1))\nEOF\n)\necho $(( $(wc -l < f) + 1 )) $((1 << 2))",
    ]);
    are_refused(&[
        "cat <<E\n$((whoami) )\nE\n",
        "cat <<E\n$((whoami) | (cat))\nE\n",
        "cat <<E\n$((1+$(whoami)))\nE\n",
        "echo $(( ${x@P} ))",
    ]);
}

#[test]
fn here_documents_run_what_is_allowed() {
    are_allowed(&[
        "f() { date; }\ncat <<E\n`f` costs \\$5 $ 5 \\`whoami\\` $(f)\nE\n",
        "cat <<'E'\n`whoami` $(whoami)\nE\n",
        "cat <<E\n$(echo '`')\nE\n",
        "cat <<E\n$x\n\t$(date)\n\n  `date` ${y}\nE\necho x",
        "cat <<-E\n\t$x\n\t  $(date)\n\n\tE\necho x",
    ]);
    are_refused(&[
        "cat <<E\n`whoami`\nE\n",
        "cat <<E\n${y:-`whoami`}\nE\n",
        "cat <<E\n$x\n\t$(whoami)\nE\n",
        "cat <<-E\n\t$(whoami)\n\tE\n",
        "cat <<E\n$x\n\t${x@P}\nE\n",
        "cat <<E\n  E\n: <<'Q'\nE\nwhoami\nQ\n",
    ]);
}

#[test]
fn backticks_run_wherever_they_stand() {
    are_allowed(&[
        "echo ${y:-`date`} \\`a\\` ${x#'`'} '`' \"\\`\"; [[ $x =~ ^a.*b$ || $x =~ '`' ]]",
        "case $x in a\\`*) ;; `date`) ;; esac; x=`date`; echo \"`date`\"",
    ]);
    are_refused(&[
        "echo ${y:-`whoami`}",
        "echo \"${y:-a `whoami b` c}\"",
        "echo ${x#`whoami`} ${x/a/`whoami`}",
        "[[ $x =~ a`whoami` ]]",
        "case $x in `whoami`) ;; esac",
    ]);
    let many = format!("cat <<E\n{}\nE\n", "`date`".repeat(4000));
    let spent = work_of(|| are_allowed(&[&many]));
    assert!(spent < NO_TIME, "{spent:?}");
}

#[test]
fn a_function_stands_for_a_program_where_the_shell_calls_it() {
    are_allowed(&[
        "f() { echo; }; time f; f; command -v f; unset x; unset -v f",
        "trap cleanup EXIT; cleanup() { rm -f x; }",
        "echo 1\ncleanup() { rm -f x; }\ntrap cleanup EXIT; trap 'cleanup; exit 1' INT",
    ]);
    for call in [
        "command whoami",
        "env whoami",
        "timeout 1 whoami",
        "echo | xargs whoami",
        "/usr/bin/whoami",
        "unset whoami",
        "unset $a whoami",
        "find . -exec whoami \\;",
    ] {
        are_refused(&[&format!("whoami() {{ :; }}; {call}")]);
    }
    are_refused(&["whoami() { :; } & whoami", "trap whoami EXIT"]);
}

#[test]
fn options_that_run_commands_are_found_in_any_spelling() {
    are_allowed(&[
        "tar -cf I.tar f; tar czf F.tgz d; tar xf f --checkpoint=5; tar --to-stdout -xf x",
        "tar --update -f x y; tar --compress -cf x y; sort --check f; split -l 5 f",
        "mapfile -t C < f; mapfile -tn 3 C; env -u S A=1 sort; seq 3 | xargs; env",
        "find $d -name \"$p\" -exec ls {} +; find . -name x -exec rm {} \\;",
    ]);
    are_refused(&[
        "tar cf o f --checkpoint=1 --checkpoint-act=exec=whoami",
        "tar xf o.tar --to-comm=whoami",
        "tar -cIwhoami -f x y",
        "tar cfI x whoami y",
        "split --filt whoami f",
        "mapfile -tC whoami -c 1 a",
        "echo whoami | xargs timeout 5",
        "echo whoami | xargs -n1 env",
        "e=-exec; find . $e whoami \\;",
        "e=-exec; find . -exec rm {} \\; $e whoami \\;",
    ]);
}

#[test]
fn texts_that_are_numbers_to_the_shell_hold_no_commands() {
    are_allowed(&[
        "[[ '$(x)' == \"$y\" && $x -eq 1 && '`' < b ]]; { echo '$(x)'; }; (( x > 1 ))",
        "declare -A m; m['a b']=1; echo ${m[\"$(date)\"]} $((n['1']))",
    ]);
    are_refused(&[
        "[ -v 'a[$(whoami)]' ]",
        "[[ 'a[$(whoami)]' -eq 1 ]]",
        "[[ 1 -lt \"a[\\$(whoami)]\" ]]",
        "(( 'a[$(whoami)]' ))",
        "echo ${a['$(whoami)']}",
        "echo $((a['`whoami`']))",
    ]);
}

#[test]
fn variables_that_decide_what_runs_stay() {
    are_allowed(&["local -n out=$1; declare -n ref=arr; wait -n; export PATH2=x; unset x"]);
    are_refused(&[
        "BASH_CMDS[cut]=/usr/bin/whoami",
        "BASH_ALIASES[cut]=whoami",
        "declare -n r=PATH; r=/x",
        "wait -p PATH",
    ]);
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
            let rules = Rules { mode: Mode::Restricted, ..Rules::default() };
            let spent = work_of(|| drop(check(&source, &rules)));
            assert!(spent < NO_TIME, "{open} {count}: {spent:?}");
        }
    }
}

#[test]
fn long_scripts_that_do_not_nest_pass() {
    let lines = "for f in *.txt; do\n  n=$(wc -l < \"$f\")\n  echo \"${f%.txt}: $n\"\ndone\n";
    assert_eq!(ids(&lines.repeat(300), Mode::Standard, &[]), []);
}

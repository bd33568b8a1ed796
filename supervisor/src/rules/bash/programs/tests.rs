use super::Verdict::{Elsewhere, Plain, Starts, Unclear};
use super::{awk, sed};
use crate::rules::{Finding, Mode, Rules};

fn found(source: &str) -> Vec<Finding> {
    crate::rules::bash::check(source, &Rules { mode: Mode::Standard, ..Rules::default() })
}

#[test]
fn programs_of_awk_work_on_text() {
    for program in [
        "/error|warn/ {c++} END{print c+0}",
        r#"{printf "%-10s|%s\n", $1, $2}"#,
        r#"$1 ~ /^(x|y)$/ {print "the system is"} # system | x"#,
        r#"BEGIN{OFS="|"} {x = a / b / c; y = $1/2; z++ / 2} a || b"#,
        r"{ if ($0 ~ /[/|]/ || $1 !~ /a\/b|c/) n++ } END { print n / NR }",
        r#"BEGIN { while ((getline line < "f") > 0) print line }"#,
        "$1 > 1 \\\n && /[^]/|[:alpha:]]/",
    ] {
        assert_eq!(awk::scan(program), Plain, "{program}");
    }
    for program in [
        "BEGIN { system (\"id\") }",
        "BEGIN { \"id\" | getline x }",
        "{ print |& \"id\" }",
        "BEGIN { x = 4 / 2 ; print \"a\" | \"id\" ; y = 1 / 2 }",
        "BEGIN { x[1] / 2 | \"id\"; (1) / 2 | \"id\" }",
        "BEGIN { f=\"system\"; @f(\"id\") }",
        "@load \"x\"",
        "/[[.]/ || \"id\" | getline x || /.]]/",
    ] {
        assert_eq!(awk::scan(program), Starts, "{program}");
    }
    for program in ["{ print \"a", "/a", "/[a/", "\\x"] {
        assert_eq!(awk::scan(program), Unclear, "{program}");
    }
}

#[test]
fn programs_of_sed_work_on_text() {
    for program in [
        "s/a/b/w out.file",
        "s/foo; e x/bar/",
        "1i\\header",
        ":a;N;$!ba;s/\\n/,/g",
        "/start/,/end/ { s/a/b/; s/c/d/ }",
        "1~2d; 2,+3p; /x/I,$!d; $=",
        "s/[/]/x/;s/[^/]*$//;s|[[:space:]/|]|e|2g",
        "/x/a text e\n$!{h;d}\ny/e;/;e/",
        "w /dev/stdout\nr e",
        "s/[/]/e/; s/[^/]*/e/",
    ] {
        assert_eq!(sed::scan(program), Plain, "{program}");
    }
    for program in [
        "e",
        "/x/e whoami",
        "1~2e whoami",
        "1,+2e whoami",
        "1e\twhoami",
        "s/[/]/whoami/e",
        "s/[[:x:]/]/whoami/ge",
        "/a\\|x/s//whoami/e",
        "\\,x,!{e",
        "1i\\header\ne",
        "s/a/b/w f\ne",
        ":a;e",
        "#n\ne",
        "v 4.2;e",
        "s/[[.]/id/e;s/.]]/y/",
    ] {
        assert_eq!(sed::scan(program), Starts, "{program}");
    }
    for program in ["s/a", "1", "k", "s/a/b/k", "p p"] {
        assert_eq!(sed::scan(program), Unclear, "{program}");
    }
}

#[test]
fn their_programs_are_found_among_the_words() {
    for source in [
        r#"awk -F "|" '{print $1}' | awk -F'|' -vOFS='|' -v x="$x" '{print $1}' "$f" OFS='|'"#,
        r#"awk "BEGIN {printf \"%.2f\", $a/$b}"; awk "/$x/ {print \$1}" f; awk '{print $'"$n"'}'"#,
        r#"p='{print $1}'; awk "$p" f; sed -n "${a},${b}p" f; sed ${n}q f; sed "s|$a|$b|g""#,
        "gawk -i inplace '{print}' f; awk $opts '{print}' f; awk -- '{print}' f; sed --version",
        "sed -i.bak -e '1i\\' -e 'echo hi' f; sed f -n -e p; sed -nE 's/(e)/\\1/p' f",
        r#"sed $opts "s/$a/b/" f; sed -n $opts -e "$a"p f"#,
        r#"sed "s/\(a\)|e/\1/"; sed "\$d"; sed --expr='s/a/b/' -l 5 f"#,
    ] {
        assert_eq!(found(source), [], "{source}");
    }
    for source in [
        "sed -es/x/whoami/e",
        "sed --expression=s/x/whoami/e",
        "sed -n --expr 's/x/id/e' f",
        "sed -ne p -e '1!{e whoami' -e '}' f",
        "sed f -e e",
        "sed $'1e\\twhoami'",
        "sed $'\\x65 whoami'",
        "p='1e whoami'; sed \"$p\"",
        "p=p; p='1e whoami'; sed \"$p\"",
        "awk -v x=1 -F: 'BEGIN { system(\"id\") }'",
        "gawk -e 'BEGIN{}' -e 'BEGIN{system(1)}'",
        "gawk --source='BEGIN{system(1)}'",
        "gawk -i x '{print}'",
    ] {
        assert_eq!(found(source).len(), 1, "{source}");
    }
}

#[test]
fn a_program_that_nobody_can_read_is_refused_with_a_hint() {
    for source in [
        "sed -f f",
        "sed \"$(echo 1e whoami)\"",
        "sed \"$p\" f",
        "p=a; p+=$(x); sed \"$p\"",
        "awk -f p.awk",
        "awk -F: -f x",
        "awk \"$p\"",
        "gawk --fil=x",
        "echo x | xargs awk",
    ] {
        let messages: Vec<_> = found(source).into_iter().map(|it| it.message).collect();
        let (expected, _) = Elsewhere.told().unwrap_or_default();
        assert!(messages.iter().any(|it| it == expected), "{source}: {messages:?}");
    }
}

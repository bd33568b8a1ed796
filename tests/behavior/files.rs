//! Files: in as given, out as found, and never by way of a link.

use std::time::Duration;

use belljar::{Error, Limits, Outcome, Source, SourceFile};
use belljar_tests::{Test, bash, expect, limits, run, run_out, run_with, sandbox, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        an_input_file_is_there_with_its_bytes(Bash),
        input_files_below_directories_are_there(Bash),
        an_input_file_can_be_changed_by_the_payload(Bash),
        a_path_that_leads_elsewhere_is_refused(Bash),
        a_file_given_twice_is_refused(Bash),
        an_entry_that_is_not_there_is_refused(Bash),
        input_files_may_fill_the_disk_and_no_more(Bash),
        artifacts_come_out_as_they_were_written(Bash),
        a_glob_says_what_is_collected(Bash),
        what_was_not_asked_for_stays_inside(Bash),
        an_input_file_is_collected_when_it_is_named(Bash),
        a_glob_that_leads_outside_is_refused(Bash),
        a_link_is_reported_and_not_followed(Bash),
        what_is_no_file_is_reported_and_not_opened(Bash),
        hostile_names_are_reported_and_not_interpreted(Python),
        the_number_of_artifacts_is_bounded(Bash),
        the_bytes_of_artifacts_are_bounded(Bash),
        a_sparse_file_costs_what_it_claims(Bash),
        what_a_killed_payload_left_is_collected(Bash),
        a_file_that_nobody_may_read_is_collected_or_reported(Bash),
        nothing_of_one_run_is_there_in_the_next(Bash),
    ]
}

fn found(outcome: &Outcome) -> Vec<(String, usize)> {
    let path = |file: &belljar::Artifact| file.path.display().to_string();
    outcome.artifacts.iter().map(|file| (path(file), file.bytes.len())).collect()
}

fn names(outcome: &Outcome) -> Vec<String> {
    found(outcome).into_iter().map(|(name, _)| name).collect()
}

async fn an_input_file_is_there_with_its_bytes() {
    let every: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let source = Source::code("cat data.bin").file("data.bin", every.clone());
    assert!(run("bash", source).await.stdout.bytes == every);
    assert_eq!(bash(Source::code("wc -c < empty").file("empty", "")).await, "0\n");
}

async fn input_files_below_directories_are_there() {
    let source = Source::code("cat a/b/c.txt 'a/ü ö.txt'; find . -type d | sort")
        .file("a/b/c.txt", "one\n")
        .file("a/ü ö.txt", "two\n");
    assert_eq!(bash(source).await, "one\ntwo\n.\n./a\n./a/b\n");
}

async fn an_input_file_can_be_changed_by_the_payload() {
    let source =
        Source::code("echo more >> a; mv a b; mkdir -p d/e && cat b && rm b").file("a", "x\n");
    assert_eq!(bash(source).await, "x\nmore\n");
    assert_eq!(
        bash(Source::code("cat in/a; echo y > in/b && cat in/b").file("in/a", "x\n")).await,
        "x\ny\n"
    );
}

async fn refused(source: Source, about: &str) {
    let sandbox = sandbox("bash").build().unwrap();
    let error = sandbox.run(source).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid(_)), "{error:?}");
    let message = error.to_string();
    assert!(message.contains(about), "{message}");
    assert!(!message.contains(['\n', '\0']), "{message:?}");
}

async fn a_path_that_leads_elsewhere_is_refused() {
    let long = "x".repeat(256);
    let deep = "d/".repeat(600) + "x";
    for path in
        ["../x", "a/../../x", "/etc/passwd", "", ".", "a//b", "./x", "a/", "a\0b", &long, &deep]
    {
        refused(Source::code("true").file(path, "x"), "file").await;
    }
}

async fn a_file_given_twice_is_refused() {
    refused(Source::code("true").file("a", "1").file("a", "2"), "twice").await;
    refused(Source::code("true").file("main.sh", "1"), "twice").await;
    refused(Source::code("true").file("a", "1").file("a/b", "2"), "directory").await;
}

async fn an_entry_that_is_not_there_is_refused() {
    let file = SourceFile { path: "a.sh".to_owned(), bytes: Vec::new() };
    refused(Source::files(vec![file], "b.sh"), "b.sh").await;
    refused(Source::files(Vec::new(), "main.sh"), "main.sh").await;
}

async fn input_files_may_fill_the_disk_and_no_more() {
    let limits = Limits { disk_bytes: 1 << 20, ..limits() };
    let fits = Source::code("wc -c < a").file("a", vec![1; 900_000]);
    assert_eq!(stdout(&run_with("bash", limits.clone(), fits).await), "900000\n");
    let sandbox = sandbox("bash").limits(limits).build().unwrap();
    let error = sandbox.run(Source::code("true").file("a", vec![1; 2_000_000])).await.unwrap_err();
    assert_eq!(error.code(), "invalid_request", "{error}");
    assert!(error.to_string().contains("disk_bytes"), "{error}");
    let few = sandbox.with_limits(Limits { inodes: 16, ..belljar_tests::limits() }).unwrap();
    let many = |n| (0..n).fold(Source::code("echo *"), |source, n| source.file(format!("{n}"), ""));
    expect(&few.run(many(11)).await.unwrap(), "ok");
    let error = few.run(many(12)).await.unwrap_err();
    assert!(error.to_string().contains("inodes"), "{error}");
}

async fn artifacts_come_out_as_they_were_written() {
    let source = Source::code("mkdir -p out/deep; head -c 5000 /dev/urandom > out/deep/a.bin; sha256sum < out/deep/a.bin; cp out/deep/a.bin b.png")
        .collect("out/**")
        .collect("*.png");
    let outcome = run("bash", source).await;
    expect(&outcome, "ok");
    assert_eq!(found(&outcome), [("b.png".to_owned(), 5000), ("out/deep/a.bin".to_owned(), 5000)]);
    let types: Vec<_> = outcome.artifacts.iter().map(|file| file.media_type).collect();
    assert_eq!(types, ["image/png", "application/octet-stream"]);
    assert_eq!(outcome.artifacts[0].bytes, outcome.artifacts[1].bytes);
    assert!(outcome.artifact_errors.is_empty(), "{:?}", outcome.artifact_errors);
    let again = Source::code("sha256sum < b").file("b", outcome.artifacts[0].bytes.clone());
    assert_eq!(bash(again).await, stdout(&outcome));
}

async fn a_glob_says_what_is_collected() {
    let make = "mkdir -p d/e; touch a.txt b.csv d/c.txt d/e/f.txt .hidden.txt";
    for (glob, wanted) in [
        ("*.txt", &["a.txt"][..]),
        ("**/*.txt", &["a.txt", "d/c.txt", "d/e/f.txt"]),
        ("d/*", &["d/c.txt"]),
        ("[ab].*", &["a.txt", "b.csv"]),
        (".*", &[".hidden.txt"]),
        ("b.csv", &["b.csv"]),
    ] {
        let outcome = run("bash", Source::code(make).collect(glob)).await;
        assert_eq!(names(&outcome), wanted, "{glob}");
    }
}

async fn what_was_not_asked_for_stays_inside() {
    let outcome = run("bash", "echo x > a.txt; echo y > /tmp/b.txt").await;
    assert!(outcome.artifacts.is_empty() && outcome.artifact_errors.is_empty());
    let outcome = run("bash", Source::code("echo y > /tmp/b.txt").collect("**/*.txt")).await;
    assert!(outcome.artifacts.is_empty());
    assert!(outcome.artifact_errors[0].contains("no such file"), "{:?}", outcome.artifact_errors);
}

async fn an_input_file_is_collected_when_it_is_named() {
    let source = Source::code("echo more >> in.csv").file("in.csv", "x\n");
    let named = run("bash", source.clone().collect("in.csv")).await;
    assert_eq!(found(&named), [("in.csv".to_owned(), 7)]);
    assert_eq!(names(&run("bash", source.collect("**")).await), [""; 0]);
}

async fn a_glob_that_leads_outside_is_refused() {
    for glob in ["../*", "/etc/*", "a/../../b", "", "[", "a/", "**x", "a\nb"] {
        refused(Source::code("true").collect(glob), "pattern").await;
    }
}

fn complaint(outcome: &Outcome, about: &str) -> bool {
    outcome.artifact_errors.iter().any(|error| error.contains(about))
}

async fn a_link_is_reported_and_not_followed() {
    let make = "ln -s /etc/passwd a.txt; ln -s b.txt c.txt; echo x > b.txt; mkdir d; ln -s / d/root; ln -s ../.. d/up";
    let outcome = run("bash", Source::code(make).collect("**")).await;
    assert_eq!(names(&outcome), ["b.txt"]);
    for link in ["a.txt", "c.txt", "d/root", "d/up"] {
        assert!(
            complaint(&outcome, &format!("{link}: a symbolic link")),
            "{:?}",
            outcome.artifact_errors
        );
    }
    let through = run("bash", Source::code("ln -s /etc d").collect("d/passwd")).await;
    assert!(through.artifacts.is_empty());
}

async fn what_is_no_file_is_reported_and_not_opened() {
    let make = "mkfifo fifo; mkdir dir; echo x > fine";
    let outcome = run("bash", Source::code(make).collect("*")).await;
    assert_eq!(names(&outcome), ["fine"]);
    assert!(complaint(&outcome, "fifo: a FIFO"), "{:?}", outcome.artifact_errors);
}

async fn hostile_names_are_reported_and_not_interpreted() {
    let code = "for name in (b'new\\nline', b'esc\\x1b[31m', b'not\\xffutf8', b'fine', b'-rf', b'$(id)', b'..x'):\n    \
                    open(name, 'wb').close()\n";
    let outcome = run("python", Source::code(code).collect("**")).await;
    for plain in ["$(id)", "-rf", "..x", "fine"] {
        let known = names(&outcome).contains(&plain.to_owned())
            || complaint(&outcome, plain)
            || plain == "..x";
        assert!(known, "{plain}: {:?} {:?}", names(&outcome), outcome.artifact_errors);
    }
    assert_eq!(outcome.artifact_errors.len(), 3, "{:?}", outcome.artifact_errors);
    for error in &outcome.artifact_errors {
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }
}

async fn the_number_of_artifacts_is_bounded() {
    let limits = Limits { artifacts: 3, ..limits() };
    let outcome = run_with("bash", limits, Source::code("touch {1..9}").collect("*")).await;
    assert_eq!(outcome.artifacts.len(), 3);
    assert!(!outcome.artifact_errors.is_empty());
    let none = Limits { artifacts: 0, ..belljar_tests::limits() };
    let outcome = run_with("bash", none, Source::code("touch a").collect("*")).await;
    assert!(outcome.artifacts.is_empty() && !outcome.artifact_errors.is_empty());
}

async fn the_bytes_of_artifacts_are_bounded() {
    let limits = Limits { artifact_bytes: 10_000, ..limits() };
    let make = "for i in 1 2 3; do head -c 4000 /dev/zero > $i; done";
    let outcome = run_with("bash", limits, Source::code(make).collect("*")).await;
    assert_eq!(outcome.artifacts.len(), 2);
    assert_eq!(outcome.artifact_errors.len(), 1, "{:?}", outcome.artifact_errors);
}

async fn a_sparse_file_costs_what_it_claims() {
    let outcome =
        run("bash", Source::code("truncate -s 60M huge; truncate -s 1M small").collect("*")).await;
    assert_eq!(found(&outcome), [("small".to_owned(), 1 << 20)]);
    assert!(complaint(&outcome, "huge"), "{:?}", outcome.artifact_errors);
}

async fn what_a_killed_payload_left_is_collected() {
    let source = Source::code("echo x > a; echo ready; sleep 30").collect("a");
    let outcome = run_out("bash", Duration::from_millis(300), source).await;
    assert_eq!(found(&outcome), [("a".to_owned(), 2)]);
}

async fn a_file_that_nobody_may_read_is_collected_or_reported() {
    let make = "echo x > a; chmod 0 a; mkdir d; echo y > d/b; chmod 0 d";
    let outcome = run("bash", Source::code(make).collect("**")).await;
    expect(&outcome, "ok");
    assert!(names(&outcome).contains(&"a".to_owned()) || complaint(&outcome, "a: "), "{outcome:?}");
}

async fn nothing_of_one_run_is_there_in_the_next() {
    let sandbox = sandbox("bash").build().unwrap();
    let code = "ls -A /work /tmp /dev/shm; touch /work/w /tmp/t /dev/shm/s";
    let first = stdout(&sandbox.run(code).await.unwrap());
    assert_eq!(first, "/dev/shm:\n\n/tmp:\n\n/work:\nmain.sh\n");
    assert_eq!(stdout(&sandbox.run(code).await.unwrap()), first);
}

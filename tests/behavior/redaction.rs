//! Redaction: a courtesy to transcripts. The usual forms of a secret do not come out.

use belljar::{Chunk, Source};
use belljar_tests::{Test, bash, run, sandbox, stderr, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        a_printed_secret_is_replaced_by_its_name(Python),
        both_streams_are_redacted(Bash),
        the_text_of_an_error_is_redacted(Python),
        encoded_forms_are_redacted(Python),
        a_secret_in_pieces_is_redacted(Python),
        live_output_is_redacted_too(Python),
        a_secret_cut_by_the_limit_does_not_show_its_head(Bash),
        what_is_dropped_counts_what_was_written_after_redaction(Bash),
        a_secret_of_many_lines_is_redacted_by_line(Bash),
        other_output_is_left_alone(Bash),
        redaction_is_no_barrier(Python),
    ]
}

const VALUE: &str = "s3cr3t/with+odd chars?";

fn with_secret(code: &str) -> Source {
    Source::code(code).secret("API_KEY", VALUE).unwrap()
}

async fn a_printed_secret_is_replaced_by_its_name() {
    let code = "import belljar\nprint('key:', belljar.secrets['API_KEY'], 'end')";
    let outcome = run("python", with_secret(code)).await;
    assert_eq!(stdout(&outcome), "key: [redacted:API_KEY] end\n");
}

async fn both_streams_are_redacted() {
    let outcome =
        run("bash", with_secret("cat /run/secrets/API_KEY; cat /run/secrets/API_KEY >&2")).await;
    assert_eq!(stdout(&outcome), "[redacted:API_KEY]");
    assert_eq!(stderr(&outcome), "[redacted:API_KEY]");
}

async fn the_text_of_an_error_is_redacted() {
    let code = "import belljar\nraise ValueError(belljar.secrets['API_KEY'])";
    let said = stderr(&run("python", with_secret(code)).await);
    assert!(said.contains("ValueError: [redacted:API_KEY]"), "{said}");
    assert!(!said.contains("s3cr3t"), "{said}");
}

async fn encoded_forms_are_redacted() {
    for form in [
        "base64.b64encode(value).decode()",
        "base64.b64encode(b'x' + value).decode()",
        "base64.b64encode(b'user:' + value).decode()",
        "base64.b64encode(value + b' and more').decode()",
        "base64.urlsafe_b64encode(value).decode().rstrip('=')",
        "urllib.parse.quote(value)",
        "urllib.parse.quote(value, safe='')",
        "urllib.parse.quote_plus(value)",
        "urllib.parse.urlencode({'key': value})",
        "value.hex()",
        "value.hex().upper()",
        "repr(value.decode())",
        "json.dumps({'key': value.decode()})",
    ] {
        let code = format!(
            "import base64, belljar, json, urllib.parse\n\
             value = belljar.secrets['API_KEY'].encode()\n\
             print({form})\n"
        );
        let said = stdout(&run("python", with_secret(&code)).await);
        assert!(said.contains("[redacted:API_KEY]"), "{form}: {said}");
        assert!(!said.contains("s3cr3t"), "{form}: {said}");
    }
}

const IN_PIECES: &str = "import belljar, sys, time\n\
                         for letter in 'a ' + belljar.secrets['API_KEY'] + ' b':\n    \
                             sys.stdout.write(letter)\n    \
                             sys.stdout.flush()\n    \
                             time.sleep(0.01)\n";

async fn a_secret_in_pieces_is_redacted() {
    let outcome = run("python", with_secret(IN_PIECES)).await;
    assert_eq!(stdout(&outcome), "a [redacted:API_KEY] b");
}

async fn live_output_is_redacted_too() {
    let sandbox = sandbox("python").build().unwrap();
    let mut run = sandbox.start(with_secret(IN_PIECES)).await.unwrap();
    let mut said = Vec::new();
    while let Some(chunk) = run.output().await {
        if let Chunk::Stdout(bytes) = chunk {
            said.extend(bytes);
        }
    }
    assert_eq!(String::from_utf8(said).unwrap(), "a [redacted:API_KEY] b");
}

async fn a_secret_cut_by_the_limit_does_not_show_its_head() {
    let limits = belljar::Limits { stdout_bytes: 12, ..belljar_tests::limits() };
    let source = with_secret("printf 0123456789; cat /run/secrets/API_KEY");
    let outcome = belljar_tests::run_with("bash", limits, source).await;
    assert_eq!(stdout(&outcome), "0123456789[r");
}

async fn what_is_dropped_counts_what_was_written_after_redaction() {
    let limits = belljar::Limits { stdout_bytes: 4, ..belljar_tests::limits() };
    let source = with_secret("echo 01234567; cat /run/secrets/API_KEY");
    let outcome = belljar_tests::run_with("bash", limits, source).await;
    assert_eq!(stdout(&outcome), "0123");
    assert!(outcome.stdout.dropped_bytes >= 5, "{:?}", outcome.stdout.dropped_bytes);
}

async fn a_secret_of_many_lines_is_redacted_by_line() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nAoIBAQDdUeqAdTt2gMO2v2\n-----END KEY-----\n";
    let source = Source::code("sed -n 2p /run/secrets/KEY; tail -2 /run/secrets/KEY | head -1")
        .secret("KEY", key)
        .unwrap();
    assert_eq!(bash(source).await, "[redacted:KEY]\n[redacted:KEY]\n");
}

async fn other_output_is_left_alone() {
    let source =
        with_secret("echo s3cr3; echo with+odd; echo [redacted]; echo s3cr3t/with+odd chars");
    assert_eq!(bash(source).await, "s3cr3\nwith+odd\n[redacted]\ns3cr3t/with+odd chars\n");
}

/// Stated, so that nobody relies on it: the documentation says the same.
async fn redaction_is_no_barrier() {
    let code = "import belljar\nprint(belljar.secrets['API_KEY'][::-1])";
    assert_eq!(stdout(&run("python", with_secret(code)).await), "?srahc ddo+htiw/t3rc3s\n");
}

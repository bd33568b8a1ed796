//! Secrets: a payload can read its own, nothing else can, and they lie nowhere.

use std::fs;

use belljar::{Error, Source};
use belljar_tests::{Test, bash, expect, python, ready, run, sandbox, stderr, stdout, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        python_reads_a_mapping(Python),
        node_reads_a_frozen_object(Node),
        js_reads_a_frozen_object(),
        bash_reads_a_file_of_its_owner(Bash),
        writing_to_the_mapping_raises(Python),
        writing_to_the_object_throws(Node),
        writing_to_the_object_of_js_throws(),
        without_secrets_there_are_none(Python, Bash),
        bytes_that_are_no_text_arrive_whole(Python, Bash),
        the_payload_finds_them_neither_in_its_arguments_nor_in_its_environment(Python),
        nobody_outside_finds_them_in_arguments_or_environments(Python, Alone),
        the_pipe_is_closed_before_the_first_line_runs(Python),
        a_child_of_the_payload_does_not_inherit_them(Python),
        a_child_of_node_does_not_inherit_them(Node),
        debugging_shows_no_value(Python),
        a_name_has_to_be_a_name(),
        too_many_bytes_are_refused(Bash),
        two_runs_do_not_see_each_others(Python),
    ]
}

/// Written backwards, as what is printed forwards is redacted.
const VALUE: &str = "hunter2-correct-horse";
const BACKWARDS: &str = "esroh-tcerroc-2retnuh\n";

fn with_secret(code: &str) -> Source {
    Source::code(code).secret("API_KEY", VALUE).unwrap()
}

async fn python_reads_a_mapping() {
    let code = "import belljar\n\
                print(belljar.secrets['API_KEY'][::-1])\n\
                print(list(belljar.secrets), len(belljar.secrets), 'OTHER' in belljar.secrets)\n\
                print(repr(belljar.secrets), str(belljar.secrets))\n";
    let said = python(with_secret(code)).await;
    assert_eq!(
        said,
        format!(
            "{BACKWARDS}['API_KEY'] 1 False\n\
             <belljar.secrets: API_KEY> <belljar.secrets: API_KEY>\n"
        )
    );
}

const READ_IN_JS: &str = "console.log([...belljar.secrets.API_KEY].reverse().join(''));\n\
                          console.log(Object.keys(belljar.secrets).join());\n\
                          console.log(Object.getPrototypeOf(belljar.secrets) === null);\n\
                          console.log(Object.isFrozen(belljar.secrets));\n\
                          console.log('OTHER' in belljar.secrets);\n";

async fn read_in(runtime: &str) {
    let outcome = run(runtime, with_secret(READ_IN_JS)).await;
    expect(&outcome, "ok");
    assert_eq!(stdout(&outcome), format!("{BACKWARDS}API_KEY\ntrue\ntrue\nfalse\n"));
    let shown = run(runtime, with_secret("console.log(belljar.secrets)")).await;
    expect(&shown, "ok");
    assert!(!stdout(&shown).contains("redacted"), "{}", stdout(&shown));
}

async fn node_reads_a_frozen_object() {
    read_in("node").await;
}

async fn js_reads_a_frozen_object() {
    read_in("js").await;
}

async fn bash_reads_a_file_of_its_owner() {
    let code = "rev /run/secrets/API_KEY; echo\n\
                stat -c %a:%u /run/secrets/API_KEY\n\
                ls /run/secrets\n\
                : > /run/secrets/API_KEY || echo closed\n\
                rm -f /run/secrets/API_KEY || echo fixed\n\
                : > /run/secrets/NEW || echo sealed\n";
    let outcome = run("bash", with_secret(code)).await;
    expect(&outcome, "ok");
    let uid = "1000";
    let wanted = format!("{BACKWARDS}400:{uid}\nAPI_KEY\nclosed\nfixed\nsealed\n");
    assert_eq!(stdout(&outcome), wanted, "{}", stderr(&outcome));
}

async fn writing_to_the_mapping_raises() {
    let code = "import belljar\n\
                secrets = belljar.secrets\n\
                for attempt in ('secrets[\"API_KEY\"] = \"x\"', 'secrets[\"NEW\"] = \"x\"',\n        \
                                'del secrets[\"API_KEY\"]', 'secrets.more = 1', 'secrets.pop(\"API_KEY\")',\n        \
                                'secrets.update(NEW=1)', 'secrets.clear()'):\n    \
                    try:\n        \
                        exec(attempt)\n        \
                        print('possible:', attempt)\n    \
                    except (TypeError, AttributeError): pass\n\
                print(secrets['API_KEY'][::-1])\n";
    assert_eq!(python(with_secret(code)).await, BACKWARDS);
}

const WRITE_IN_JS: &str = "const tries = [() => { belljar.secrets.API_KEY = 'x' }, () => { belljar.secrets.NEW = 'x' },\n\
                               () => { 'use strict'; delete belljar.secrets.API_KEY }, () => { belljar.secrets = {} },\n\
                               () => Object.defineProperty(belljar.secrets, 'NEW', { value: 1 }),\n\
                               () => Object.setPrototypeOf(belljar.secrets, {})];\n\
                           for (const [number, attempt] of tries.entries()) {\n\
                               try { (function () { 'use strict'; attempt() })(); console.log('possible', number) } catch (error) {}\n\
                           }\n\
                           console.log([...belljar.secrets.API_KEY].reverse().join(''), 'NEW' in belljar.secrets);\n";

async fn write_in(runtime: &str) {
    let outcome = run(runtime, with_secret(WRITE_IN_JS)).await;
    expect(&outcome, "ok");
    let said = stdout(&outcome);
    // Sloppy code may not replace the object either, but need not hear of it.
    let said = said.replace("possible 3\n", "");
    assert_eq!(said, format!("{} false\n", BACKWARDS.trim()));
}

async fn writing_to_the_object_throws() {
    write_in("node").await;
}

async fn writing_to_the_object_of_js_throws() {
    write_in("js").await;
}

async fn without_secrets_there_are_none() {
    let code = "import belljar, os\nprint(len(belljar.secrets), os.path.exists('/run/secrets'))";
    assert_eq!(python(code).await, "0 False\n");
    assert_eq!(bash("[ -e /run/secrets ] || echo none").await, "none\n");
}

async fn bytes_that_are_no_text_arrive_whole() {
    let every: Vec<u8> = (0..=255).collect();
    let with = |code: &str| Source::code(code).secret("RAW", every.clone()).unwrap();
    let code = "import belljar\nprint(belljar.secrets['RAW'] == bytes(range(256)))";
    assert_eq!(python(with(code)).await, "True\n");
    assert_eq!(
        bash(with(
            "wc -c < /run/secrets/RAW; od -An -tu1 -w1 /run/secrets/RAW | sort -n | uniq | wc -l"
        ))
        .await,
        "256\n256\n"
    );
}

async fn the_payload_finds_them_neither_in_its_arguments_nor_in_its_environment() {
    let code = "import belljar, os, sys\n\
                value = belljar.secrets['API_KEY'].encode()\n\
                def read(path):\n    \
                    try: return open(path, 'rb').read()\n    \
                    except OSError: return b''\n\
                for place in ('environ', 'cmdline', 'comm', 'mountinfo', 'auxv'):\n    \
                    if value in read('/proc/self/' + place): print(place)\n\
                if value in repr((sys.argv, sys.orig_argv if hasattr(sys, 'orig_argv') else (), os.environ)).encode(): print('sys')\n\
                print([name for name in os.environ if 'SECRET' in name or 'API' in name])\n\
                for base, _, names in os.walk('/', onerror=None):\n    \
                    if base.startswith(('/proc', '/dev', '/usr', '/lib', '/opt', '/root', '/bin', '/home')): continue\n    \
                    for name in names:\n        \
                        if value in read(os.path.join(base, name)): print(base, name)\n";
    assert_eq!(python(with_secret(code)).await, "[]\n");
}

/// The processes of this host whose arguments or environment hold the value.
fn holders() -> Vec<String> {
    let mut readable = 0;
    let mut holders = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        for place in ["cmdline", "environ"] {
            let path = entry.path().join(place);
            let Ok(text) = fs::read(&path) else { continue };
            readable += 1;
            if text.windows(VALUE.len()).any(|window| window == VALUE.as_bytes()) {
                holders.push(path.display().to_string());
            }
        }
    }
    assert!(readable > 3, "nothing could be looked at");
    holders
}

async fn nobody_outside_finds_them_in_arguments_or_environments() {
    let sandbox = sandbox("python").build().unwrap();
    let code = "import belljar, time\nprint('ready', flush=True)\ntime.sleep(30)";
    let run = ready(&sandbox, with_secret(code)).await;
    assert_eq!(holders(), [""; 0]);
    assert!(fs::metadata(format!("/run/secrets/{}", "API_KEY")).is_err());
    expect(&run.kill().await.unwrap(), "cancelled");
}

async fn the_pipe_is_closed_before_the_first_line_runs() {
    let code = "import os\nprint(sorted(int(fd) for fd in os.listdir('/proc/self/fd'))[:3])\n\
                try: print(os.fstat(3))\n\
                except OSError as error: print(error.errno)\n";
    assert_eq!(python(with_secret(code)).await, "[0, 1, 2]\n9\n");
}

async fn a_child_of_the_payload_does_not_inherit_them() {
    let code = "import belljar, os, subprocess, sys\n\
                child = 'import belljar, os; print(len(belljar.secrets), os.environ.get(\"BELLJAR_SECRETS_FD\"))'\n\
                subprocess.run([sys.executable, '-c', child], check=True, close_fds=False)\n\
                if os.fork() == 0:\n    \
                    print(len(belljar.secrets), 'API_KEY' in belljar.secrets, flush=True)\n    \
                    os._exit(0)\n\
                os.wait()\n\
                print(len(belljar.secrets))\n";
    assert_eq!(python(with_secret(code)).await, "0 None\n0 False\n1\n");
}

async fn a_child_of_node_does_not_inherit_them() {
    let code = "const { spawnSync } = require('child_process');\n\
                const child = 'console.log(typeof belljar, process.env.BELLJAR_SECRETS_FD)';\n\
                const done = spawnSync(process.execPath, ['-e', child], { stdio: ['ignore', 'pipe', 'pipe', 3] });\n\
                process.stdout.write(done.error ? done.error.code + '\\n' : done.stdout);\n";
    let said = stdout(&run("node", with_secret(code)).await);
    assert!(said == "undefined undefined\n" || said == "EBADF\n", "{said}");
}

async fn debugging_shows_no_value() {
    let source = with_secret("import belljar\nprint(belljar.secrets['API_KEY'])");
    assert!(!format!("{source:?}").contains(VALUE));
    assert!(format!("{source:?}").contains("API_KEY"));
    let outcome = run("python", source).await;
    assert!(!format!("{outcome:?}").contains(VALUE));
}

async fn a_name_has_to_be_a_name() {
    for bad in ["", "a", "lower", "1A", "_A", "A-B", "A B", "A=B", "../X", "A/B", "Ä", "A\0", "A\n"]
    {
        let error = Source::code("").secret(bad, "x").unwrap_err();
        assert!(matches!(&error, Error::Invalid(_)), "{bad:?}");
        assert!(!error.to_string().contains('\0'), "{error}");
    }
    assert!(Source::code("").secret("A_1", "x").is_ok());
}

async fn too_many_bytes_are_refused() {
    let of = |bytes: usize| Source::code("wc -c < /run/secrets/A").secret("A", vec![b'x'; bytes]);
    let sandbox = sandbox("bash").build().unwrap();
    // Names and the lengths that travel with them count, too.
    let most = sandbox.run(of((64 << 10) - 100).unwrap()).await.unwrap();
    assert_eq!(stdout(&most), "65436\n");
    let error = sandbox.run(of((64 << 10) + 1).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("secrets"), "{error}");
    assert_eq!(error.code(), "invalid_request");
}

async fn two_runs_do_not_see_each_others() {
    let sandbox = sandbox("python").build().unwrap();
    let code = "import belljar, time\ntime.sleep(0.2)\n\
                print({name: value[::-1] for name, value in belljar.secrets.items()})";
    let one = Source::code(code).secret("ONE", "first").unwrap();
    let two = Source::code(code).secret("TWO", "second").unwrap();
    let (one, two) = tokio::join!(sandbox.run(one), sandbox.run(two));
    assert_eq!(stdout(&one.unwrap()), "{'ONE': 'tsrif'}\n");
    assert_eq!(stdout(&two.unwrap()), "{'TWO': 'dnoces'}\n");
}

//! Sources that would make a check slow take as long as they are.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::{Language, Mode, Rules, check, own_modules};

const SMALL_BYTES: usize = 64 << 10;
const LARGE_BYTES: usize = 512 << 10;
/// Twice as much as eight times the length: what is quadratic takes 64 times.
const TIMES_MOST: u32 = 16;
const TRIES: u32 = 3;

/// What comes once, and then the parts: each is repeated to fill its share.
const HOSTILE: [(Language, &str, &[&str]); 17] = [
    (Language::Python, "b = 1\n", &["a=b\n", "a()\n"]),
    (Language::Python, "", &["s='{}'\n", "s.format()\n"]),
    (Language::Python, "", &["import json as a\n", "a.b\n"]),
    (Language::Python, "s = '{0.a}'\n", &["t=s\n", "s.format(t)\n"]),
    (Language::Python, "", &["if 1:a;"]),
    (Language::Python, "", &["eval(x)\n"]),
    (Language::Python, "", &["__match_args__=a=()\n"]),
    (Language::JavaScript, "const c='a', o={};\n", &["o[c];\n"]),
    (Language::JavaScript, "const o={}, c=`a${'b'}`;\n", &["o[c+c];\n"]),
    (Language::JavaScript, "", &["eval(x);\n"]),
    (Language::JavaScript, "", &["of\\/;"]),
    (Language::TypeScript, "const c: string='a', o: any={};\n", &["o[c];\n"]),
    (Language::Bash, "", &["f() { :; }\n", "trap f EXIT\n"]),
    (Language::Bash, "f() { :; }\n", &["f\n"]),
    (Language::Bash, "", &["g() { f; }\n", "f\n"]),
    (Language::Bash, "", &["env "]),
    (Language::Bash, "", &["nc x\n"]),
];

fn spent(language: Language, once: &str, parts: &[&str], bytes: usize) -> Duration {
    let share = bytes / parts.len();
    let filled = parts.iter().map(|part| part.repeat(share / part.len()));
    let source = once.to_owned() + &filled.collect::<String>();
    let rules = Rules { mode: Mode::Standard, ..Rules::default() };
    work_of(|| drop(check(language, &source, &rules)))
}

/// How long this thread works for it: others on a busy machine do not add to that. Nor does a check
/// of what nests too deep for this stack, which has a thread of its own.
pub(super) fn work_of(work: impl FnOnce()) -> Duration {
    let now = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    let before = now();
    work();
    let (Ok(before), Ok(after)) = (before, now()) else { unreachable!("a clock of Linux 2.6.12") };
    after.saturating_sub(before)
}

#[test]
fn checks_take_as_long_as_sources_are() {
    for (language, once, parts) in HOSTILE {
        // A longer script of a shell is not looked at.
        let (small_bytes, large_bytes) = match language {
            Language::Bash => (SMALL_BYTES / 16, SMALL_BYTES / 2 - 1024),
            _ => (SMALL_BYTES, LARGE_BYTES),
        };
        let is_linear = (0..TRIES).any(|_| {
            let small = spent(language, once, parts, small_bytes);
            // What takes no time at all is measured by the clock and the scheduler.
            let small = small.max(Duration::from_millis(2));
            let large = spent(language, once, parts, large_bytes);
            large <= small * TIMES_MOST
        });
        assert!(is_linear, "{language:?} {once:?} {parts:?}");
    }
}

#[test]
fn long_names_of_modules_are_copied_once() {
    let source = format!("from {} import {}\n", "a".repeat(SMALL_BYTES), "b,".repeat(50_000) + "b");
    let rules = Rules { mode: Mode::Standard, ..Rules::default() };
    assert_eq!(check(Language::Python, &source, &rules).len(), 1);
}

#[test]
fn files_with_the_names_of_known_modules_are_no_modules_of_a_run() {
    let paths = ["os.py", "socket/__init__.py", "os/x.py", "json.py", "codecs.py", "mine.py"];
    assert_eq!(own_modules(Language::Python, paths.into_iter()), ["mine"]);
}

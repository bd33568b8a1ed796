//! Interrupts, limits, and payloads that do not play along.

use std::time::{Duration, Instant};

use belljar::{Answer, AnswerStatus, Call, Limits, Outcome, Session, SessionOptions};
use belljar_tests::{Test, expect, expect_memory, limits, sandbox, tests};

use crate::calls::{call, cut_short, expect_answer, open, open_with, out, said};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        an_interrupt_keeps_the_state(Python),
        an_interrupt_that_cannot_be_heard_ends_the_session(Python),
        an_interrupt_without_a_call_is_nothing(Python),
        interrupts_at_any_moment_lose_no_session(Python, Node, Bash),
        a_call_has_a_wall_limit(Python),
        a_call_that_swallows_its_interrupt_is_ended(Python),
        the_session_has_a_wall_limit(Python),
        a_payload_that_leaves_ends_its_session(Python),
        memory_that_runs_out_ends_the_session(Python),
        processor_time_is_that_of_all_calls(Python),
        a_closed_answer_descriptor_ends_the_session(Python),
        a_flood_of_answers_ends_the_session(Python),
        a_forged_answer_is_the_sessions_own_affair(Python),
        nonsense_for_an_answer_ends_the_session(Python),
        a_dropped_session_is_gone(Python),
        a_session_works_where_sockets_are_closed(Python, Node, Bash),
        descriptors_sent_along_are_not_kept(Python),
        files_that_a_call_makes_while_it_is_collected_are_bounded(Python),
    ]
}

async fn interrupted(session: &Session, code: &str) -> Answer {
    let mut calling = session.begin(code).await.expect("a call");
    // All of them say when they have begun.
    assert!(calling.output().await.is_some());
    tokio::time::sleep(Duration::from_millis(50)).await;
    session.interrupt();
    calling.answer().await.expect("an answer")
}

/// How a session ended during its call.
fn ended(answer: &Answer) -> &Outcome {
    match &answer.status {
        AnswerStatus::Ended(outcome) => outcome,
        other => panic!("{} instead of an end: {}", other.name(), answer.message()),
    }
}

async fn an_interrupt_keeps_the_state() {
    let session = open("python").await;
    said(&session, "n = 0").await;
    for code in [
        "print(1, flush=True)\nwhile True: n += 1",
        "import time\nprint(1, flush=True)\ntime.sleep(100)",
        "import subprocess, sys\nprint(1, flush=True)\n\
         subprocess.run([sys.executable, '-c', 'import time; time.sleep(100)'], stderr=-3)",
        "import threading\nprint(1, flush=True)\nthreading.Event().wait()",
    ] {
        let began = Instant::now();
        let answer = interrupted(&session, code).await;
        expect_answer(&answer, "interrupted");
        assert_eq!(answer.error.expect("an exception").kind, "KeyboardInterrupt");
        assert!(began.elapsed() < Duration::from_secs(10), "{code}: {:?}", began.elapsed());
    }
    assert_eq!(said(&session, "print(n > 0)").await, "True\n");
}

async fn an_interrupt_that_cannot_be_heard_ends_the_session() {
    let session = open("python").await;
    // One call into the interpreter's own code, that nothing interrupts.
    let code = "print(1, flush=True)\nsum(range(10 ** 12))";
    let began = Instant::now();
    let answer = interrupted(&session, code).await;
    expect(ended(&answer), "cancelled");
    assert_eq!(out(&answer), "1\n");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

async fn an_interrupt_without_a_call_is_nothing() {
    let session = open("python").await;
    session.interrupt();
    assert_eq!(said(&session, "print(1)").await, "1\n");
    session.interrupt();
    assert_eq!(said(&session, "import time; time.sleep(0.2); print(2)").await, "2\n");
}

async fn interrupts_at_any_moment_lose_no_session() {
    for (runtime, begin, code, show) in [
        ("python", "n = 0", "n += 1\nfor i in range(20000): pass", "print(n)"),
        ("node", "var n = 0", "n++; for (let i = 0; i < 200000; i++);", "console.log(n)"),
        ("bash", "n=0", "n=$((n + 1)); for i in {1..200}; do :; done", "echo $n"),
    ] {
        let session = open(runtime).await;
        said(&session, begin).await;
        let (mut begun, mut interrupted) = (0, 0);
        for round in 0..60_u64 {
            let calling = session.begin(code).await.expect("a call");
            // From before it is there until after it is over.
            tokio::time::sleep(Duration::from_micros(round * 100)).await;
            session.interrupt();
            let answer = calling.answer().await.expect("an answer");
            match answer.status.name() {
                "ok" => begun += 1,
                "interrupted" => interrupted += 1,
                _ => panic!("{runtime}, round {round}: {}", answer.message()),
            }
        }
        let counted: u64 = said(&session, show).await.trim().parse().expect("a number");
        assert!((begun..=begun + interrupted).contains(&counted), "{runtime}: {counted}");
    }
}

async fn a_call_has_a_wall_limit() {
    let session = open("python").await;
    let code = "x = 1\nimport time\nprint('begun', flush=True)\ntime.sleep(100)";
    let (answer, wall) = cut_short(&session, code).await;
    expect_answer(&answer, "wall_time");
    assert_eq!(out(&answer), "begun\n");
    assert!(
        answer.wall >= wall && answer.wall < wall + Duration::from_secs(5),
        "{:?}",
        answer.wall
    );
    assert_eq!(said(&session, "print(x)").await, "1\n");
}

async fn a_call_that_swallows_its_interrupt_is_ended() {
    let session = open("python").await;
    let code = "import time\nwhile True:\n  try: print('begun', flush=True); time.sleep(100)\n  \
        except KeyboardInterrupt: pass";
    let (answer, _) = cut_short(&session, code).await;
    expect(ended(&answer), "wall_time");
}

async fn the_session_has_a_wall_limit() {
    let session = open_with("python", Limits { wall: Duration::from_secs(5), ..limits() }).await;
    said(&session, "x = 1").await;
    let answer = call(&session, "import time; time.sleep(100)").await;
    expect(ended(&answer), "wall_time");
    expect(&session.ended().await.expect("an outcome"), "wall_time");
}

async fn a_payload_that_leaves_ends_its_session() {
    let session = open("python").await;
    let answer = call(&session, "import os\nprint('last', flush=True)\nos._exit(7)").await;
    assert_eq!(ended(&answer).verdict.exit_code(), Some(7));
    assert_eq!(out(&answer), "last\n");
    let session = open("python").await;
    let answer = call(&session, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)").await;
    assert_eq!(ended(&answer).verdict.signal(), Some(11));
}

async fn memory_that_runs_out_ends_the_session() {
    let session = open_with("python", Limits { memory_bytes: 96 << 20, ..limits() }).await;
    said(&session, "x = 1").await;
    let answer =
        call(&session, "y = bytearray(400 << 20)\nfor i in range(0, len(y), 4096): y[i] = 1").await;
    if let AnswerStatus::Ended(outcome) = &answer.status {
        expect_memory(outcome);
    } else {
        // Where no cgroup counts it, RLIMIT_DATA may have refused it first.
        assert_eq!(answer.error.expect("an exception").kind, "MemoryError");
        let outcome = session.close().await.expect("an outcome");
        assert!(!belljar_tests::is_memory_counted(&outcome));
    }
}

async fn processor_time_is_that_of_all_calls() {
    let session = open_with("python", Limits { cpu: Duration::from_secs(1), ..limits() }).await;
    let spin = "import time\nt = time.process_time()\nwhile time.process_time() - t < 0.4: pass";
    let answer = call(&session, spin).await;
    expect_answer(&answer, "ok");
    assert!(answer.cpu >= Duration::from_millis(300), "{:?}", answer.cpu);
    expect(ended(&call(&session, "while True: pass").await), "cpu_time");
}

/// Code that has the descriptors on which answers may go out.
fn with_descriptor(code: &str) -> String {
    let find = "import os, stat\nfds = []\nfor n in range(3, 200):\n  try:\n    if stat.S_ISSOCK(os.fstat(n).st_mode): fds.append(n)\n  except OSError: pass\nfd = fds[-1]\n";
    format!("{find}{code}")
}

async fn a_closed_answer_descriptor_ends_the_session() {
    let session = open("python").await;
    let answer = call(&session, with_descriptor("for fd in fds: os.close(fd)").as_str()).await;
    ended(&answer);
}

async fn a_flood_of_answers_ends_the_session() {
    let session = open("python").await;
    let code = "while True: os.write(fd, b'x' * 65536)";
    ended(&call(&session, with_descriptor(code).as_str()).await);
    let session = open("python").await;
    let code = "os.write(fd, b'answer 1 99999999\\n')\nwhile True: os.write(fd, b'x' * 65536)";
    ended(&call(&session, with_descriptor(code).as_str()).await);
}

async fn a_forged_answer_is_the_sessions_own_affair() {
    let session = open("python").await;
    let other = open("python").await;
    let code = "body = b'{\"status\":\"ok\",\"value\":{\"text\":\"forged\"}}'\nos.write(fd, b'answer 1 %d\\n' % len(body) + body)";
    let answer = call(&session, with_descriptor(code).as_str()).await;
    expect_answer(&answer, "ok");
    assert_eq!(answer.value.expect("a value").text, "forged");
    // The true answer comes late, for a call that is over.
    ended(&call(&session, "1").await);
    assert_eq!(call(&other, "2").await.value.expect("a value").text, "2");
}

async fn nonsense_for_an_answer_ends_the_session() {
    for nonsense in [
        "answer 1 2\\n[]",
        "answer 2 2\\n{}",
        "answer -1 2\\n{}",
        "\\0\\0\\0\\n",
        "answer 1 3\\n{{{",
    ] {
        let session = open("python").await;
        let code = format!("os.write(fd, b'{nonsense}')\nimport time; time.sleep(100)");
        ended(&call(&session, with_descriptor(&code).as_str()).await);
    }
}

async fn a_dropped_session_is_gone() {
    let session = open("python").await;
    let calling = session.begin("print(1, flush=True)\nimport time; time.sleep(100)").await;
    drop(session);
    let answer = calling.expect("a call").answer().await.expect("an answer");
    expect(ended(&answer), "cancelled");
}

async fn a_session_works_where_sockets_are_closed() {
    let shown = "/var/lib";
    for (runtime, code) in [("python", "print(1)"), ("node", "console.log(1)"), ("bash", "echo 1")]
    {
        let sandbox = sandbox(runtime).read_only(shown).build().expect("a sandbox");
        let session = sandbox.open(SessionOptions::new()).await.expect("a session");
        assert_eq!(said(&session, code).await, "1\n");
        expect(&session.close().await.expect("an outcome"), "ok");
    }
}

async fn descriptors_sent_along_are_not_kept() {
    let session = open("python").await;
    // A pipe whose reading end goes along has no reader left once the supervisor has read.
    let code = "import socket, array, time\nr, w = os.pipe()\ns = socket.socket(fileno=os.dup(fd))\n\
        body = b'{\"status\":\"ok\"}'\nhead = b'answer 1 %d\\n' % len(body)\n\
        s.sendmsg([head + body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [r]))])\n\
        os.close(r)\ntry:\n  for _ in range(100): os.write(w, b'x'); time.sleep(0.1)\n  os._exit(3)\n\
        except BrokenPipeError: os._exit(4)";
    let answer = call(&session, with_descriptor(code).as_str()).await;
    expect_answer(&answer, "ok");
    assert_eq!(session.ended().await.expect("an outcome").verdict.exit_code(), Some(4));
}

async fn files_that_a_call_makes_while_it_is_collected_are_bounded() {
    let session = open_with("python", Limits { artifact_bytes: 1 << 20, ..limits() }).await;
    let code = "import threading, os\ndef make():\n  n = 0\n  while n < 5000:\n    n += 1\n    \
        with open(f'f{n % 50}.txt', 'wb') as f: f.write(b'x' * (n * 100))\n\
        os.mkfifo('fifo.txt')\nos.symlink('/etc/passwd', 'link.txt')\n\
        threading.Thread(target=make).start()";
    let answer = call(&session, Call::code(code).collect("*.txt")).await;
    expect_answer(&answer, "ok");
    let bytes: usize = answer.artifacts.iter().map(|it| it.bytes.len()).sum();
    assert!(bytes <= 1 << 20 && answer.artifacts.len() <= 64, "{bytes}");
    assert!(
        answer.artifacts.iter().all(|it| it.path.to_str().is_some_and(|it| it.starts_with('f')))
    );
    assert!(answer.artifact_errors.iter().any(|it| it.contains("fifo")));
}

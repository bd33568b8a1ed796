//! What a payload finds around itself: the same small world on every host, and nobody else in it.

use std::fs;
use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use belljar::{Outcome, Run, Sandbox, Source};
use belljar_tests::{Test, bash, expect, ready, run, sandbox, stderr, stdout, tests};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg, socketpair,
};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        the_environment_is_what_is_documented_and_no_more(),
        the_callers_variables_are_added(),
        it_is_one_unprivileged_user_on_a_host_called_belljar(Bash),
        it_starts_in_its_work_directory(Bash),
        the_clock_says_utc_and_the_locale_knows_every_letter(Bash),
        the_root_holds_what_was_put_there(Bash),
        no_file_of_a_person_is_there(Bash),
        only_its_own_processes_are_there(Bash),
        it_has_three_descriptors_and_no_terminal(Bash),
        no_signal_is_blocked_or_ignored(),
        devices_are_the_harmless_ones(Bash),
        only_the_scratch_space_can_be_written(Bash),
        a_shown_directory_is_there_and_read_only(Bash),
        a_directory_that_the_jar_has_itself_is_not_shown(),
        two_runs_have_two_ids_and_neither_is_root(OwnIds, Bash, Alone),
        without_ids_to_lend_a_run_has_its_callers(User, Bash, Alone),
        two_runs_share_no_name(Python),
        standard_input_is_what_was_given(Bash),
        descriptors_on_their_way_hold_up_a_start_and_refuse_none(Alone),
    ]
}

async fn the_environment_is_what_is_documented_and_no_more() {
    let outcome = run("native", Source::program("/usr/bin/env")).await;
    expect(&outcome, "ok");
    let said = stdout(&outcome);
    let mut lines: Vec<_> = said.lines().collect();
    lines.sort_unstable();
    let path = "PATH=/usr/local/bin:/usr/bin:/bin";
    assert_eq!(lines, ["HOME=/work", "LANG=C.UTF-8", path, "TMPDIR=/tmp", "TZ=UTC"]);
}

async fn the_callers_variables_are_added() {
    let source = Source::program("/usr/bin/env").env("MINE", "a b=c\nd").env("TZ", "Asia/Tokyo");
    let said = stdout(&run("native", source).await);
    assert!(said.contains("MINE=a b=c\nd\n"), "{said}");
    assert!(said.contains("TZ=Asia/Tokyo\n") && !said.contains("TZ=UTC"), "{said}");
}

async fn it_is_one_unprivileged_user_on_a_host_called_belljar() {
    let said = bash("id -u; id -g; whoami; uname -n; cat /proc/sys/kernel/hostname /etc/hostname 2>/dev/null | head -1").await;
    assert!(said.starts_with("1000\n1000\nbelljar\nbelljar\n"), "{said}");
    let passwd =
        "belljar:x:1000:1000:belljar:/work:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
    assert_eq!(bash("cat /etc/passwd").await, passwd);
}

async fn it_starts_in_its_work_directory() {
    assert_eq!(bash("pwd; echo ~; stat -c %u:%a /work").await, "/work\n/work\n1000:755\n");
}

async fn the_clock_says_utc_and_the_locale_knows_every_letter() {
    assert_eq!(
        bash("date +%Z; locale charmap 2>/dev/null || echo UTF-8; x=äöü; echo ${#x}").await,
        "UTC\nUTF-8\n3\n"
    );
    let source = Source::code("TZ=Asia/Tokyo date -d @0 +%H:%M");
    assert_eq!(bash(source).await, "09:00\n");
}

async fn the_root_holds_what_was_put_there() {
    // Landlock lets nobody list the root itself; each name is asked for.
    let code = "for name in bin sbin boot dev etc home lib lib64 media mnt opt proc root run srv sys tmp usr var work; do\n\
                    [ -e /$name ] && echo -n \"$name \"\n\
                done; echo; ls -A /run; ls -A /etc | tr '\\n' ' '\n";
    let said = bash(code).await;
    let first = said.lines().next().unwrap();
    for absent in ["boot", "home", "media", "mnt", "root", "srv", "sys", "var"] {
        assert!(!first.split(' ').any(|name| name == absent), "{absent} is there: {said}");
    }
    for absent in ["shadow", "gshadow", "sudoers", "ssh", "fstab", "machine-id", "resolv.conf"] {
        assert!(!said.split([' ', '\n']).any(|name| name == absent), "{absent} is there: {said}");
    }
}

async fn no_file_of_a_person_is_there() {
    let exe = std::env::current_exe().unwrap();
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    for place in [env!("CARGO_MANIFEST_DIR"), exe.to_str().unwrap(), home.as_str()] {
        let source =
            Source::code("[ -e \"$1\" ] && echo there; [ -e /proc/1/root/$1 ] && echo reached; :")
                .arg(place);
        assert_eq!(bash(source).await, "", "{place}");
    }
}

async fn only_its_own_processes_are_there() {
    let said =
        bash("ls /proc | grep -c '^[0-9]*$'; ls /proc | grep -v '^[0-9]*$' | tr '\\n' ' '").await;
    let (processes, rest) = said.split_once('\n').unwrap();
    // bash, the two of a pipe, and at most a subshell; process 1 belongs to nobody here.
    assert!(processes.parse::<u32>().unwrap() <= 4, "{said}");
    assert!(
        !rest.contains("cpuinfo") && !rest.contains("sys") && !rest.contains("kcore"),
        "{said}"
    );
}

async fn it_has_three_descriptors_and_no_terminal() {
    let code = "for fd in /proc/$$/fd/*; do [ \"${fd##*/}\" -le 2 ] && echo -n \"${fd##*/} \"; done; echo\n\
                exec 9< /dev/null; ls /proc/$$/fd | tr '\\n' ' '; echo\n\
                tty < /dev/stdin; (: < /dev/tty) 2> /dev/null || echo none\n";
    let said = stdout(&run("bash", code).await);
    assert!(said.starts_with("0 1 2 \n"), "{said}");
    assert!(said.ends_with("not a tty\nnone\n"), "{said}");
}

async fn no_signal_is_blocked_or_ignored() {
    let source = Source::program("/bin/cat").arg("/proc/self/status");
    let said = stdout(&run("native", source).await);
    // 32 and 33 are out of reach of sigaction(2) in glibc, which keeps them to itself.
    let ignored = said.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & !(3 << 31), 0, "{said}");
    for field in ["SigBlk:\t0000000000000000\n", "Threads:\t1\n"] {
        assert!(said.contains(field), "{field} is not in {said}");
    }
    for field in [
        "NoNewPrivs:\t1\n",
        "Seccomp:\t2\n",
        "CapEff:\t0000000000000000\n",
        "CapBnd:\t0000000000000000\n",
    ] {
        assert!(said.contains(field), "{field} is not in {said}");
    }
}

async fn devices_are_the_harmless_ones() {
    let code = "for name in null zero full random urandom tty console mem kmem kmsg port sda vda loop0 fuse kvm \
                net/tun ptmx pts/0 input/event0 cpu_dma_latency; do [ -e /dev/$name ] && echo -n \"$name \"; done; head -c 3 /dev/zero | od -An -c; \
                echo x > /dev/full || echo full; head -c 4 /dev/urandom | wc -c";
    let said = stdout(&run("bash", code).await);
    let wanted = "null zero full random urandom   \\0  \\0  \\0\nfull\n4\n";
    assert_eq!(said, wanted);
}

async fn only_the_scratch_space_can_be_written() {
    let code = "for place in / /bin /dev /etc /lib /proc /run /usr /usr/bin /work /tmp /dev/shm; do\n\
                    [ -d $place ] && (: > $place/probe) 2> /dev/null && echo $place\n\
                done; (: >> /etc/passwd) 2>/dev/null && echo passwd; :\n";
    assert_eq!(bash(code).await, "/work\n/tmp\n/dev/shm\n");
}

async fn a_shown_directory_is_there_and_read_only() {
    let shown = "/var/lib";
    let sandbox = sandbox("bash").read_only(shown).build().unwrap();
    let source = Source::code("[ -d $1 ] && echo there; : > $1/probe || echo fixed").arg(shown);
    let outcome = sandbox.run(source.clone()).await.unwrap();
    assert_eq!(stdout(&outcome), "there\nfixed\n", "{}", stderr(&outcome));
    let without: Outcome = run("bash", source).await;
    assert_eq!(stdout(&without), "fixed\n");
}

async fn a_directory_that_the_jar_has_itself_is_not_shown() {
    for place in [
        "/",
        "/proc",
        "/etc",
        "/etc/ssl",
        "/dev",
        "/tmp",
        "/work",
        "/run/x",
        "relative",
        "/usr/../etc",
        "/usr/nowhere",
        "/bin/true",
    ] {
        let error = sandbox("native").read_only(place).build().unwrap_err();
        assert_eq!(error.code(), "invalid_request", "{place}: {error}");
        assert!(error.to_string().contains(place), "{error}");
    }
}

/// User ids, as the host counts, of running processes with this argument.
fn owners(argument: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let owners = processes.filter_map(|entry| {
        let arguments = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        let first = uid.split_whitespace().next()?.to_owned();
        (arguments == format!("sleep\0{argument}\0")).then_some(first)
    });
    owners.collect()
}

async fn sleeping(sandbox: &Sandbox, seconds: &str) -> Run {
    let run = ready(sandbox, format!("echo ready; exec sleep {seconds}")).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while owners(seconds).is_empty() {
        assert!(Instant::now() < deadline, "it never slept");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run
}

async fn two_runs_have_two_ids_and_neither_is_root() {
    let sandbox = sandbox("bash").build().unwrap();
    let one = sleeping(&sandbox, "31.25").await;
    let two = sleeping(&sandbox, "31.50").await;
    let ids = [owners("31.25"), owners("31.50")].concat();
    expect(&one.kill().await.unwrap(), "cancelled");
    expect(&two.kill().await.unwrap(), "cancelled");
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert_ne!(ids[0], ids[1]);
    let caller = nix::unistd::getuid().to_string();
    assert!(!ids.contains(&"0".to_owned()) && !ids.contains(&caller), "{ids:?}");
}

async fn without_ids_to_lend_a_run_has_its_callers() {
    let sandbox = sandbox("bash").build().unwrap();
    let one = sleeping(&sandbox, "31.75").await;
    let ids = owners("31.75");
    let outcome = one.kill().await.unwrap();
    let lent =
        outcome.receipt.layers.iter().any(|row| row.how.contains("subordinate user id of its"));
    assert_eq!(ids.len(), 1);
    assert_eq!(ids[0] == nix::unistd::getuid().to_string(), !lent);
}

/// What one run makes and the other must not find: a process, a file in each writable place, a lock,
/// an abstract socket. Both say the same, so each believes to be alone.
async fn two_runs_share_no_name() {
    let sandbox = sandbox("python").build().unwrap();
    let make = "import fcntl, os, socket, time\n\
                for place in ('/tmp/belljar-x', '/work/belljar-x', '/dev/shm/belljar-x'):\n    \
                    try: file = os.open(place, os.O_CREAT | os.O_EXCL | os.O_RDWR)\n    \
                    except FileExistsError: print('shared:', place); continue\n    \
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n\
                held = socket.socket(socket.AF_UNIX)\n\
                try: held.bind('\\0belljar-x')\n\
                except OSError as error: print('shared socket:', error.errno)\n\
                print(os.getpid(), [pid for pid in os.listdir('/proc') if pid.isdigit()], flush=True)\n\
                time.sleep(0.5)\n\
                for pid in range(2, 300):\n    \
                    if pid == os.getpid(): continue\n    \
                    try: os.kill(pid, 0); print('reached', pid)\n    \
                    except ProcessLookupError: pass\n    \
                    except PermissionError: print('known', pid)\n";
    let (one, two) = tokio::join!(sandbox.run(make), sandbox.run(make));
    let (one, two) = (one.unwrap(), two.unwrap());
    expect(&one, "ok");
    assert_eq!(stdout(&one), stdout(&two));
    assert_eq!(stdout(&one), "2 ['2']\n");
}

async fn standard_input_is_what_was_given() {
    assert_eq!(bash("wc -c").await, "0\n");
    let large = vec![b'x'; 3 << 20];
    assert_eq!(bash(Source::code("wc -c").stdin(large)).await, "3145728\n");
    assert_eq!(
        bash(Source::code("read a; read b; echo $b $a").stdin("one\ntwo\n")).await,
        "two one\n"
    );
    // It is a file of the run's own: reading it twice does not disturb anybody.
    assert_eq!(bash(Source::code("cat; cat < /dev/stdin").stdin("x")).await, "xx");
}

/// Where runs have their caller's id, they share its account of descriptors on their way as well.
async fn descriptors_on_their_way_hold_up_a_start_and_refuse_none() {
    let (here, there) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let null = fs::File::open("/dev/null").unwrap();
    // As many as one message takes (SCM_MAX_FD), twice: more than a payload may have open.
    let rights = [null.as_raw_fd(); 253];
    let rights = [ControlMessage::ScmRights(&rights)];
    for _ in 0..2 {
        let (socket, word) = (here.as_raw_fd(), [IoSlice::new(b"take")]);
        sendmsg::<UnixAddr>(socket, &word, &rights, MsgFlags::empty(), None).unwrap();
    }
    let taken = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        drop(there);
    });
    let outcome = run("native", Source::program("/bin/true")).await;
    expect(&outcome, "ok");
    taken.await.unwrap();
}

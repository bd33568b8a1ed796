//! Says in words what a payload was refused, why, and what to do instead.

/// Constants of libc with their names.
macro_rules! constants {
    ($($name:ident)*) => { &[$((libc::$name, stringify!($name))),*] };
}

mod names;

use belljar_protocol::Denial;
use nix::libc::{
    self, AF_INET, AF_INET6, AF_NETLINK, AF_UNIX, IPPROTO_TCP, IPPROTO_UDP, MFD_NOEXEC_SEAL,
    SOCK_DGRAM, SOCK_STREAM, c_long,
};

use crate::Denied;
use names::{
    FAMILIES, FCNTLS, IOCTLS, MESSAGE_FLAGS, NAMESPACES, Names, PRCTLS, PTRACES, SOCKET_TYPES,
};

/// One denial in words. The rule and the hint are for a model as much as for a person.
pub(crate) fn explain(denial: &Denial) -> Denied {
    let number = c_long::from(denial.call);
    let found = RULES.iter().find_map(|rule| {
        let (_, name) = rule.calls.iter().find(|(call, _)| *call == number)?;
        Some((name.trim_start_matches("SYS_"), rule))
    });
    let args = denial.args.map(low);
    let Some((name, Rule { word, hint, .. })) = found else {
        let what = format!("system call {number}");
        let hint = UNKNOWN.into();
        return Denied { kind: "syscall", what, rule: "seccomp/unknown", hint, count: 1 };
    };
    let detail = detail(name, args);
    let what = if detail.is_empty() { name.to_owned() } else { format!("{name}({detail})") };
    let (rule, hint) = by_arguments(name, args).unwrap_or((word, hint));
    Denied { kind: "syscall", what, rule, hint: hint.into(), count: 1 }
}

struct Rule {
    word: &'static str,
    hint: &'static str,
    calls: &'static [(c_long, &'static str)],
}

const UNKNOWN: &str =
    "this system call does not exist here; use another way that needs no special right";

const NO_NETWORK: &str =
    "network is off for this run; grant it with --allow-net HOST:PORT, or pass the data as a file";

/// What no interpreter calls.
const FATAL: &[(c_long, &str)] = &[
    (libc::SYS_kexec_load, "kexec_load"),
    (libc::SYS_reboot, "reboot"),
    (libc::SYS_init_module, "init_module"),
    (libc::SYS_finit_module, "finit_module"),
    (libc::SYS_delete_module, "delete_module"),
    (libc::SYS_swapon, "swapon"),
    (libc::SYS_swapoff, "swapoff"),
    (libc::SYS_vhangup, "vhangup"),
    (libc::SYS_open_by_handle_at, "open_by_handle_at"),
    (libc::SYS_nfsservctl, "nfsservctl"),
    (libc::SYS_lookup_dcookie, "lookup_dcookie"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_iopl, "iopl"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_ioperm, "ioperm"),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_modify_ldt, "modify_ldt"),
];

const RULES: &[Rule] = &[
    Rule {
        word: "seccomp/socket",
        hint: "this kind of socket is closed to every run; use a pipe or an AF_UNIX socket",
        calls: constants![SYS_socket SYS_socketpair],
    },
    Rule {
        word: "seccomp/socket-option",
        hint: "leave this option out: filters, devices, groups and TCP's inner workings stay as they are",
        calls: constants![SYS_setsockopt],
    },
    Rule {
        word: "seccomp/fatal",
        hint: "no program needs this call, so the run was ended for it; leave it out",
        calls: FATAL,
    },
    Rule {
        word: "seccomp/message-flags",
        hint: "send and receive without MSG_OOB and MSG_FASTOPEN",
        calls: constants![SYS_sendto SYS_recvfrom SYS_sendmsg SYS_recvmsg SYS_sendmmsg SYS_recvmmsg],
    },
    Rule {
        word: "seccomp/mount",
        hint: "file systems cannot be mounted or changed; write below /work or /tmp",
        calls: constants![
            SYS_mount SYS_umount2 SYS_pivot_root SYS_chroot SYS_open_tree SYS_move_mount
            SYS_mount_setattr SYS_fsopen SYS_fsconfig SYS_fsmount SYS_fspick
        ],
    },
    Rule {
        word: "seccomp/namespace",
        hint: "the run is in namespaces of its own already; start plain processes or threads instead",
        calls: constants![SYS_clone SYS_unshare SYS_setns],
    },
    Rule {
        word: "seccomp/inspect",
        hint: "processes cannot inspect each other; print from within the program instead of tracing it",
        calls: constants![
            SYS_ptrace SYS_kcmp SYS_process_vm_readv SYS_process_vm_writev SYS_pidfd_getfd
        ],
    },
    Rule {
        word: "seccomp/kernel",
        hint: "kernel programs and counters are closed; measure time with the language's own clock",
        calls: constants![SYS_bpf SYS_perf_event_open SYS_userfaultfd],
    },
    Rule {
        word: "seccomp/keyring",
        hint: "kernel keyrings are closed; read secrets as the runtime offers them and keep them in memory",
        calls: constants![SYS_add_key SYS_request_key SYS_keyctl],
    },
    Rule {
        word: "seccomp/file-handle",
        hint: "files are opened by path here, not by handle",
        calls: constants![SYS_name_to_handle_at],
    },
    Rule {
        word: "seccomp/memory-file",
        hint: "create memory files with MFD_NOEXEC_SEAL, or write a file under /tmp",
        calls: constants![SYS_memfd_create],
    },
    Rule {
        word: "seccomp/secret-memory",
        hint: "memory without a limit is closed; use ordinary memory",
        calls: constants![SYS_memfd_secret],
    },
    Rule {
        word: "seccomp/exec",
        hint: "programs are started by path only; run one that the runtime brings along",
        calls: constants![SYS_execveat],
    },
    Rule {
        word: "seccomp/ipc",
        hint: "System V and POSIX queues are closed; use pipes, AF_UNIX socket pairs or shared mmap",
        calls: constants![
            SYS_shmget SYS_shmat SYS_shmctl SYS_shmdt SYS_msgget SYS_msgsnd SYS_msgrcv SYS_msgctl
            SYS_semget SYS_semop SYS_semtimedop SYS_semctl SYS_mq_open SYS_mq_unlink SYS_mq_notify
            SYS_mq_timedsend SYS_mq_timedreceive SYS_mq_getsetattr
        ],
    },
    Rule {
        word: "seccomp/identity",
        hint: "the run has one unprivileged user; do without sudo, su and changes of user or group",
        calls: constants![
            SYS_setuid SYS_setreuid SYS_setresuid SYS_setfsuid SYS_setgid SYS_setregid
            SYS_setresgid SYS_setfsgid SYS_setgroups SYS_capset
        ],
    },
    Rule {
        word: "seccomp/host",
        hint: "settings of the host cannot be changed; keep such values inside the program",
        calls: constants![SYS_sethostname SYS_setdomainname SYS_quotactl SYS_acct],
    },
    Rule {
        word: "seccomp/clock",
        hint: "clocks can be read but not set; pass the wanted time to the code as a value",
        calls: constants![SYS_clock_settime SYS_clock_adjtime SYS_settimeofday SYS_adjtimex],
    },
    Rule {
        word: "seccomp/kernel-log",
        hint: "the kernel's log is closed; print to standard error instead",
        calls: constants![SYS_syslog],
    },
    Rule {
        word: "seccomp/watch",
        hint: "whole file systems cannot be watched; watch single directories with inotify",
        calls: constants![SYS_fanotify_init SYS_fanotify_mark],
    },
    Rule {
        word: "seccomp/sandbox",
        hint: "the run is confined already; leave out the program's own sandbox (often a --no-sandbox flag)",
        calls: constants![
            SYS_seccomp SYS_landlock_create_ruleset SYS_landlock_add_rule SYS_landlock_restrict_self
        ],
    },
    Rule {
        word: "seccomp/ioctl",
        hint: "there is no terminal or device here; treat input and output as plain pipes",
        calls: constants![SYS_ioctl],
    },
    Rule {
        word: "seccomp/prctl",
        hint: "this process attribute is fixed for the run; leave the call out",
        calls: constants![SYS_prctl],
    },
    Rule {
        word: "seccomp/personality",
        hint: "address randomisation stays on; run the program without setarch",
        calls: constants![SYS_personality],
    },
    Rule {
        word: "seccomp/fcntl",
        hint: "leases, notices and pipe sizes are fixed; use plain locks or poll instead",
        calls: constants![SYS_fcntl],
    },
    Rule {
        word: "seccomp/device",
        hint: "device files cannot be made; use files, FIFOs, or /dev/null, zero, full, random and urandom",
        calls: constants![SYS_mknodat],
    },
    #[cfg(target_arch = "x86_64")]
    Rule {
        word: "seccomp/device",
        hint: "device files cannot be made; use files, FIFOs, or /dev/null, zero, full, random and urandom",
        calls: constants![SYS_mknod],
    },
    Rule {
        word: "seccomp/limits",
        hint: "limits of other processes are closed; ask for other limits when the run is started",
        calls: constants![SYS_prlimit64],
    },
];

/// Where the arguments decide what is worth saying.
fn by_arguments(name: &str, args: [i32; 6]) -> Option<(&'static str, &'static str)> {
    let [first, second, third, ..] = args;
    match (name, first) {
        // The rest of the type is SOCK_CLOEXEC and SOCK_NONBLOCK.
        ("socket", AF_INET | AF_INET6)
            if matches!(second & 0xf, SOCK_STREAM | SOCK_DGRAM)
                && matches!(third, 0 | IPPROTO_TCP | IPPROTO_UDP) =>
        {
            Some(("network=none", NO_NETWORK))
        }
        ("socket", AF_INET | AF_INET6) => {
            Some(("seccomp/socket", "of the internet's protocols only TCP and UDP exist here"))
        }
        ("socket" | "socketpair", AF_NETLINK) => Some((
            "seccomp/socket",
            "network interfaces and routes cannot be listed; leave the query out, there are none",
        )),
        ("socket" | "socketpair", AF_UNIX) => Some((
            "seccomp/socket",
            "unix sockets exist only in pairs here; use socketpair or a pipe",
        )),
        ("memfd_create", _) if second & MFD_NOEXEC_SEAL.cast_signed() != 0 => Some((
            "seccomp/memory-file",
            "memory files would escape the memory limit on this host; write a file under /tmp",
        )),
        _ => None,
    }
}

/// The arguments that say what was wanted. Pointers say nothing and are left out.
fn detail(name: &str, args: [i32; 6]) -> String {
    let [first, second, third, fourth, ..] = args;
    match name {
        "setsockopt" => format!("level {second}, option {third}"),
        "socket" | "socketpair" => {
            format!("{}, {}", one(FAMILIES, first), one(SOCKET_TYPES, second & 0xf))
        }
        "clone" | "unshare" => flags(NAMESPACES, first),
        "setns" => flags(NAMESPACES, second),
        "ioctl" => one(IOCTLS, second),
        "prctl" => one(PRCTLS, first),
        "fcntl" => one(FCNTLS, second),
        "ptrace" => one(PTRACES, first),
        "sendto" | "recvfrom" | "sendmmsg" | "recvmmsg" => flags(MESSAGE_FLAGS, fourth),
        "sendmsg" | "recvmsg" => flags(MESSAGE_FLAGS, third),
        "mknod" => device(second),
        "mknodat" => device(third),
        "memfd_create" => format!("flags {second:#x}"),
        "personality" => format!("{first:#x}"),
        "bpf" | "keyctl" | "seccomp" => format!("operation {first}"),
        "setuid" | "setgid" => first.cast_unsigned().to_string(),
        "prlimit64" => format!("process {first}"),
        _ => String::new(),
    }
}

/// What the kernel reads of an argument that is an `int`.
fn low(argument: u64) -> i32 {
    u32::try_from(argument & u64::from(u32::MAX)).unwrap_or_default().cast_signed()
}

fn one(names: Names, value: i32) -> String {
    names.iter().find(|(known, _)| *known == value).map_or_else(
        || if (0..256).contains(&value) { value.to_string() } else { format!("{value:#x}") },
        |(_, name)| (*name).to_owned(),
    )
}

fn flags(names: Names, value: i32) -> String {
    let set = names.iter().filter(|(flag, _)| value & flag != 0).map(|(_, name)| *name);
    let set = set.collect::<Vec<_>>().join("|");
    if set.is_empty() { format!("{value:#x}") } else { set }
}

fn device(mode: i32) -> String {
    match mode.cast_unsigned() & libc::S_IFMT {
        libc::S_IFCHR => "S_IFCHR".to_owned(),
        libc::S_IFBLK => "S_IFBLK".to_owned(),
        other => format!("{other:#o}"),
    }
}

#[cfg(test)]
mod tests {
    use nix::libc::*;

    use super::*;

    fn explained(call: c_long, args: &[u64]) -> Denied {
        let mut six = [0; 6];
        six[..args.len()].copy_from_slice(args);
        explain(&Denial { call: i32::try_from(call).unwrap(), args: six, errno: EPERM })
    }

    #[test]
    fn a_denial_names_what_was_wanted() {
        let high = 1 << 32;
        for (call, args, what) in [
            (SYS_socket, &[2, 0x80001][..], "socket(AF_INET, SOCK_STREAM)"),
            (SYS_socket, &[38, 5], "socket(AF_ALG, SOCK_SEQPACKET)"),
            (SYS_socketpair, &[999, 99], "socketpair(0x3e7, SOCK_RAW)"),
            (SYS_clone, &[0x1002_0011], "clone(CLONE_NEWUSER|CLONE_NEWNS)"),
            (SYS_setns, &[3, 0], "setns(0x0)"),
            (SYS_ioctl, &[0, 0x5412 | high], "ioctl(TIOCSTI)"),
            (SYS_ioctl, &[0, 0xdead_beef], "ioctl(0xdeadbeef)"),
            (SYS_prctl, &[4, 1], "prctl(PR_SET_DUMPABLE)"),
            (SYS_fcntl, &[1, 1031], "fcntl(F_SETPIPE_SZ)"),
            (SYS_mknodat, &[0, 0, 0o20666], "mknodat(S_IFCHR)"),
            (SYS_sendmsg, &[3, 0, 1], "sendmsg(MSG_OOB)"),
            (SYS_ptrace, &[16, 1], "ptrace(PTRACE_ATTACH)"),
            (SYS_mount, &[0x7fff_0000], "mount"),
            (4000, &[1], "system call 4000"),
            (-1, &[1], "system call -1"),
        ] {
            assert_eq!(explained(call, args).what, what);
        }
    }

    #[test]
    fn a_hint_says_what_to_do_about_this_very_call() {
        let network = explained(SYS_socket, &[10, 2]);
        assert_eq!((network.kind, network.rule, network.count), ("syscall", "network=none", 1));
        assert!(network.hint.contains("--allow-net HOST:PORT"));
        assert_eq!(explained(SYS_socket, &[40, 1]).rule, "seccomp/socket");
        assert!(explained(SYS_socket, &[16, 3]).hint.contains("interfaces"));
        assert!(explained(SYS_memfd_create, &[0, 0]).hint.contains("MFD_NOEXEC_SEAL"));
        assert!(!explained(SYS_memfd_create, &[0, 8]).hint.contains("MFD_NOEXEC_SEAL"));
        assert_eq!(explained(4000, &[]).hint, UNKNOWN);
    }

    #[test]
    fn every_rule_has_a_hint_of_one_line_and_no_call_has_two_rules() {
        let mut seen = std::collections::HashSet::new();
        for rule in RULES {
            assert!(rule.hint.len() > 20 && rule.hint.len() < 120, "{}", rule.word);
            assert!(!rule.hint.ends_with('.') && !rule.hint.contains('\n'), "{}", rule.word);
            for (call, name) in rule.calls {
                assert!(seen.insert(*call), "{name} is listed twice");
                let what = explained(*call, &[0; 6]).what;
                assert!(what.starts_with(name.trim_start_matches("SYS_")), "{what}");
            }
        }
    }
}

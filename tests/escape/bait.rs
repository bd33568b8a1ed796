//! What some attacks look for, laid out where a jar must not let them find it: an environment
//! variable, open descriptors, and two sockets of the host.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

const CANARY: &str = "BELLJAR_ATTACK_CANARY";
const ABSTRACT: &str = "belljar-attack";
const PATH: &str = "/tmp/belljar-attack.sock";

/// Kept as long as the attacks run.
pub(crate) struct Bait {
    _abstract: Option<UnixListener>,
    _file: UnixListener,
    _leaked: Vec<OwnedFd>,
}

/// Lays it all out. Starts this program again, with the variable in its environment.
pub(crate) fn lay_out() -> Bait {
    if std::env::var_os(CANARY).is_none() {
        let this = std::env::current_exe().unwrap();
        let error = Command::new(this).args(std::env::args_os().skip(1)).env(CANARY, "x").exec();
        panic!("the tests cannot start again: {error}");
    }
    let address = SocketAddr::from_abstract_name(ABSTRACT).unwrap();
    // Where the name is taken, other tests listen, and whoever gets through is heard as well.
    let listener = match UnixListener::bind_addr(&address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => None,
        bound => Some(bound.unwrap()),
    };
    if UnixStream::connect(PATH).is_err() {
        // Left by tests that were killed.
        drop(fs::remove_file(PATH));
    }
    let file = UnixListener::bind(PATH).expect("no other run of these tests");
    let (near, far) = UnixStream::pair().unwrap();
    let leaked: [OwnedFd; 2] = [near.into(), fs::File::open("/").unwrap().into()];
    for descriptor in &leaked {
        fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    }
    let leaked = leaked.into_iter().chain([far.into()]).collect();
    Bait { _abstract: listener, _file: file, _leaked: leaked }
}

impl Drop for Bait {
    fn drop(&mut self) {
        fs::remove_file(PATH).unwrap();
    }
}

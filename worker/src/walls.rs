//! Leaves walls out, or makes them fail, in a worker that tests build for themselves: an attack
//! that a jar stops proves something only if it succeeds without the wall that stops it.
//!
//! The name under which such a worker was started says which: `without-landlock+seccomp`,
//! `failing-rootfs`, `dying-privileges`. A worker reads nothing else: no environment, no file.

#[cfg(not(debug_assertions))]
compile_error!("the feature walls-down is for tests: a release raises every wall");

use std::any::Any;
use std::path::Path;
use std::process;
use std::sync::OnceLock;

use belljar_protocol::{Layer, Note};
use nix::sys::signal::{Signal, raise};

use crate::FAILED;
use crate::stopwatch::{Failure, Step, best_effort};

/// What becomes of a wall. A test looks for these words where they must not be.
enum Fate {
    Stands,
    LeftOut,
    Fails,
    Dies,
}

/// Whether a wall is left out.
pub(crate) fn is_left_out(layer: Layer) -> bool {
    matches!(fate(layer), Fate::LeftOut)
}

/// `wall`, unless this worker is to do without it or to fail at it.
pub(crate) fn unless_down<T: 'static>(
    layer: Layer,
    wall: impl FnOnce() -> Step<T>,
) -> impl FnOnce() -> Step<T> {
    move || match fate(layer) {
        Fate::Stands => wall(),
        Fate::LeftOut => nothing()
            .ok_or_else(|| Failure::because("leave out the wall", "the host would be open")),
        Fate::Fails => Err(Failure::because("raise the wall", "a test made it fail")),
        Fate::Dies => die(),
    }
}

#[expect(clippy::exit, reason = "the kernel lets no signal of its own end process 1")]
fn die() -> ! {
    best_effort(raise(Signal::SIGKILL));
    process::exit(FAILED.into())
}

/// What raising a wall gives when it is not raised. Namespaces and the root give what the next
/// walls are built with, and cannot be left out.
fn nothing<T: 'static>() -> Option<T> {
    let note = None::<Note>;
    let nothings: [Box<dyn Any>; 4] =
        [Box::new(()), Box::new(0_u32), Box::new(note), Box::new([note; 2])];
    nothings.into_iter().find_map(|nothing| nothing.downcast().ok()).map(|nothing| *nothing)
}

fn fate(layer: Layer) -> Fate {
    // Asked before there is a jar: inside it, the name leads nowhere.
    static NAME: OnceLock<String> = OnceLock::new();
    let name = NAME.get_or_init(|| {
        let invoked = std::env::args().next().unwrap_or_default();
        let name = Path::new(&invoked).file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    });
    let Some((fate, layers)) = name.split_once('-') else { return Fate::Stands };
    match fate {
        _ if layers.split('+').all(|named| named != layer.name()) => Fate::Stands,
        "without" => Fate::LeftOut,
        "failing" => Fate::Fails,
        "dying" => Fate::Dies,
        _ => Fate::Stands,
    }
}

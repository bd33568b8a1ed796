//! Holds against: writing, executing or connecting where a mount, a permission bit or a socket
//! filter has a hole. A supplement: it does not cover stat, chmod, or files that are already open.

use std::os::fd::AsFd;

use belljar_protocol::{Jar, Network};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::layers::rootfs::{Ground, WRITABLE};
use crate::stopwatch::{Failure, Step, doing};
use crate::sys;

/// The newest ABI that the rules below were written for.
const NEWEST: i32 = 7;

/// Gives up every right that the running kernel knows, but for the few granted here. Returns the
/// ABI that was enforced in full.
pub(crate) fn restrict(jar: &Jar, ground: &Ground) -> Step<u32> {
    let newest = sys::landlock_abi().min(NEWEST);
    let abi = ABI::from(newest);
    if abi == ABI::Unsupported {
        return Err(Failure::because("make a ruleset", "this kernel has no Landlock"));
    }
    let ruleset =
        declare(jar, abi).map_err(|error| Failure::because("make a ruleset", error.to_string()))?;
    let status = grant(ruleset, jar, ground, abi)?
        .restrict_self()
        .map_err(|error| Failure::because("restrict itself", error.to_string()))?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(newest.cast_unsigned()),
        other => Err(Failure::because("restrict itself", format!("only {other:?}"))),
    }
}

/// TCP is left alone where a jar has a network: that is empty but for what is handed out, and a
/// rule names ports, where what matters is whom an address stands for.
fn declare(jar: &Jar, abi: ABI) -> Result<RulesetCreated, landlock::RulesetError> {
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    ruleset = ruleset.handle_access(AccessFs::from_all(abi))?;
    if jar.network == Network::None && !AccessNet::from_all(abi).is_empty() {
        ruleset = ruleset.handle_access(AccessNet::from_all(abi))?;
    }
    if !Scope::from_all(abi).is_empty() {
        ruleset = ruleset.scope(Scope::from_all(abi))?;
    }
    ruleset.create()
}

/// The whole ground may be read, as it holds only what the job named; what was bound may be
/// executed, the scratch space written.
fn grant(
    mut ruleset: RulesetCreated,
    jar: &Jar,
    ground: &Ground,
    abi: ABI,
) -> Step<RulesetCreated> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    ruleset = permit(ruleset, ground.root(), "the root", read)?;
    for target in jar.mounts.iter().map(|mount| mount.target.as_str()) {
        ruleset = allow(ruleset, target, read | AccessFs::Execute)?;
    }
    let no_nodes = AccessFs::MakeChar | AccessFs::MakeBlock;
    let write = AccessFs::from_write(abi) & !no_nodes & !AccessFs::IoctlDev;
    let execute =
        if jar.scratch.exec { AccessFs::Execute.into() } else { BitFlags::<AccessFs>::empty() };
    for place in WRITABLE {
        let directory = ground.open(place).map_err(doing(format!("open /{place}")))?;
        ruleset = permit(ruleset, directory, place, read | write | execute)?;
    }
    if let Some(hatch) = ground.hatch() {
        // The payload sees this directory through a mount that is read-only.
        let fill = AccessFs::MakeReg | AccessFs::WriteFile;
        ruleset = permit(ruleset, hatch, "the secrets", read | fill)?;
    }
    allow(ruleset, "/dev/null", AccessFs::ReadFile | AccessFs::WriteFile)
}

fn allow(ruleset: RulesetCreated, path: &str, rights: BitFlags<AccessFs>) -> Step<RulesetCreated> {
    let failed = || doing::<std::io::Error>(format!("open {path}"));
    let is_directory = std::fs::metadata(path).map_err(failed())?.is_dir();
    let place = PathFd::new(path)
        .map_err(|error| Failure::because(&format!("open {path}"), error.to_string()))?;
    // The rights of directories mean nothing for a file, and are refused for one.
    let rights =
        if is_directory { rights } else { rights & AccessFs::from_file(ABI::from(NEWEST)) };
    permit(ruleset, place, path, rights)
}

fn permit(
    ruleset: RulesetCreated,
    place: impl AsFd,
    name: &str,
    rights: BitFlags<AccessFs>,
) -> Step<RulesetCreated> {
    ruleset
        .add_rule(PathBeneath::new(place, rights))
        .map_err(|error| Failure::because(&format!("permit {name}"), error.to_string()))
}

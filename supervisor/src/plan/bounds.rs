//! What a source may bring along.

use crate::limits::request;
use crate::{Code, Error, Limits, Network, Source};

/// The name of a run becomes that of its cgroup.
const ID_MOST_BYTES: usize = 64;

/// # Errors
/// [`Error::Invalid`] when the files of a source leave no room on its disk or in its memory.
pub(super) fn fit(source: &Source, limits: &Limits) -> Result<(), Error> {
    const PAGE_BYTES: u64 = 4096;
    let code = match &source.code {
        Code::Files { files, .. } => files.as_slice(),
        Code::Snippet(_) | Code::Program(_) => &[],
    };
    let files = code.iter().chain(&source.files);
    let bytes: u64 = files.map(|file| (file.bytes.len() as u64).next_multiple_of(PAGE_BYTES)).sum();
    for (what, most) in [("disk_bytes", limits.disk_bytes), ("memory_bytes", limits.memory_bytes)] {
        if bytes >= most {
            let refused = format!("the files need {bytes} bytes, and limit {what} is {most}");
            return Err(Error::Invalid(refused));
        }
    }
    Ok(())
}

pub(super) fn check(source: &Source) -> Result<(), Error> {
    if let Some(id) = &source.id {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !(1..=ID_MOST_BYTES).contains(&id.len()) || !id.bytes().all(is_plain) {
            return Err(Error::Invalid(format!("id {id:?}: write 1 to 64 of A-Z a-z 0-9 -")));
        }
    }
    if !source.bound_secrets.is_empty() && !matches!(source.network, Network::Gate(_)) {
        let refused = "a secret is bound to a place, and the run is granted none".to_owned();
        return Err(Error::Invalid(refused));
    }
    let code = match &source.code {
        Code::Snippet(code) => code.len(),
        Code::Files { files, .. } => files.iter().map(|file| file.bytes.len()).sum(),
        Code::Program(_) => 0,
    };
    // As they travel: each with the lengths of its name and value, in what a pipe holds at once.
    let secrets = source.secrets.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    let env = source.env.iter().map(|(name, value)| name.len() + value.len()).sum();
    for (what, bytes, most) in [
        ("the source", code, request::SOURCE_BYTES),
        (
            "input files",
            source.files.iter().map(|file| file.bytes.len()).sum(),
            request::FILES_BYTES,
        ),
        ("standard input", source.stdin.len(), request::STDIN_BYTES),
        ("secrets", secrets, request::SECRETS_BYTES),
        ("arguments", source.args.iter().map(String::len).sum(), request::ARGV_BYTES),
        ("the environment", env, request::ARGV_BYTES),
    ] {
        if bytes as u64 > most {
            return Err(Error::Invalid(format!(
                "{what}: {bytes} bytes exceed the limit of {most}"
            )));
        }
    }
    Ok(())
}

//! The line: a socket on which an engine that is already up waits for its first and only task, and
//! tells when the task is over.

use std::{
    env,
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use belljar_protocol::{
    Contents, Files, Order, Task,
    wire::{MAX_BYTES, decode_order},
};
use zeroize::Zeroize;

use crate::raw;

/// The near end of the line.
pub(crate) struct Line(File);

impl Line {
    /// The line that this program was started with.
    pub(crate) fn take() -> Self {
        Self(raw::take_line())
    }

    /// Says that everything is ready, and waits; nothing when nobody wants us any more.
    pub(crate) fn wait(&self) -> Result<Option<Task>, String> {
        let mut datagram = vec![0; MAX_BYTES];
        let bytes = (&self.0)
            .write_all(b"ready")
            .and_then(|()| (&self.0).read(&mut datagram))
            .map_err(|error| format!("cannot use the line: {error}"))?;
        let Some(received) = datagram.get_mut(..bytes).filter(|received| !received.is_empty())
        else {
            return Ok(None);
        };
        let order = decode_order(received);
        received.zeroize();
        match order {
            Ok(Order::Run(task)) => Ok(Some(*task)),
            Ok(_) => Err("the line brought no task".to_owned()),
            Err(error) => Err(format!("the line brought a {error}")),
        }
    }

    /// Tells that the program is over. Nothing may be left to do but to exit.
    pub(crate) fn announce(&self, code: u8) {
        // Whoever does not listen any more does not need to know.
        drop((&self.0).write_all(&[code]));
    }
}

/// Writes the files of a task.
pub(crate) fn write_files(files: &Files) -> Result<(), String> {
    let Contents::Inline(contents) = &files.contents else {
        return Err("the files of the task are not in it".to_owned());
    };
    let mut rest = contents.as_slice();
    for entry in &files.entries {
        let split =
            usize::try_from(entry.bytes).ok().and_then(|bytes| rest.split_at_checked(bytes));
        let (content, after) = split.ok_or("the files of the task are cut short")?;
        rest = after;
        write_file(Path::new(&entry.path), entry.mode, content)
            .map_err(|error| format!("cannot write {}: {error}", entry.path))?;
    }
    Ok(())
}

fn write_file(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let open = || OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path);
    let mut file = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(Path::new("/"));
            DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
            open()?
        }
        opened => opened?,
    };
    // The mask of the process took bits away.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)
}

/// Makes `variables` the whole environment.
pub(crate) fn set_environment(variables: &[(String, String)]) -> Result<(), String> {
    for (name, _) in env::vars_os() {
        raw::remove_variable(&name);
    }
    for (name, value) in variables {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("{name:?} cannot be a variable"));
        }
        raw::set_variable(name, value);
    }
    Ok(())
}

//! From the paths of a jar to those of a host without one. Pure, but for what exists.

use std::path::Path;

use belljar_protocol::Mount;

use crate::runtime::Launch;

/// What of the host a program needs beside its runtime, and a jar has copies of.
const BESIDE: [&str; 9] = [
    "/dev/full",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
    "/etc/group",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/passwd",
];
/// Where a jar shows what on the host lies below one of its own directories.
const SHOWN_ELSEWHERE: &str = "/run/belljar/host";

/// Names everything by where it lies: what is shown by its source, what may be written and what
/// belljar brings by its place below `scratch`.
pub(super) fn relocate(launch: &mut Launch, scratch: &str) {
    let mut moves: Vec<(String, String)> =
        launch.mounts.iter().map(|mount| (mount.target.clone(), mount.source.clone())).collect();
    // The order is that of the search: longer names before those they begin with.
    moves.sort_by(|a, b| b.0.cmp(&a.0));
    moves.push((SHOWN_ELSEWHERE.to_owned(), String::new()));
    let below = |place: &str| (place.to_owned(), format!("{scratch}{place}"));
    moves.extend(["/run/belljar", "/work", "/tmp", "/dev/shm"].map(below));

    launch.program = path(&launch.program, &moves);
    launch.argv.iter_mut().for_each(|argument| *argument = text(argument, &moves));
    launch.env.iter_mut().for_each(|(_, value)| *value = text(value, &moves));
    launch.links.clear();
    launch.files.clear();
    for mount in &mut launch.mounts {
        mount.target.clone_from(&mount.source);
    }
    let there = BESIDE.iter().filter(|path| Path::new(path).exists());
    launch
        .mounts
        .extend(there.map(|path| Mount { source: (*path).to_owned(), target: (*path).to_owned() }));
}

/// Every path in a list of paths, or in an option that has one as its value.
fn text(text: &str, moves: &[(String, String)]) -> String {
    text.split_inclusive([':', '='])
        .map(|part| match part.strip_suffix([':', '=']) {
            Some(bare) => format!("{}{}", path(bare, moves), &part[bare.len()..]),
            None => path(part, moves),
        })
        .collect()
}

fn path(path: &str, moves: &[(String, String)]) -> String {
    let place = moves.iter().find_map(|(from, to)| {
        let rest = path.strip_prefix(from.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
    });
    place.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use belljar_protocol::{Delivery, Link};

    use super::*;
    use crate::runtime::LaunchFile;

    fn mount(source: &str, target: &str) -> Mount {
        Mount { source: source.to_owned(), target: target.to_owned() }
    }

    #[test]
    fn a_launch_names_everything_by_where_it_lies_on_the_host() {
        let strings = |strings: &[&str]| strings.iter().map(ToString::to_string).collect();
        let mut launch = Launch {
            program: "/program".to_owned(),
            argv: strings(&["x", "/work/main.py", "--a=/tmp/b", "/workshop", "work", "-c/work"]),
            env: vec![
                ("HOME".to_owned(), "/work".to_owned()),
                ("P".to_owned(), "/run/belljar/python:/usr/lib:/tmp".to_owned()),
                (
                    "Q".to_owned(),
                    "/run/belljar/host/tmp/venv/bin:/run/belljar/host/run/x".to_owned(),
                ),
            ],
            mounts: vec![
                mount("/opt/a/program", "/program"),
                mount("/tmp/venv", "/run/belljar/host/tmp/venv"),
                mount("/usr/lib", "/usr/lib"),
            ],
            links: vec![Link { path: "/lib".to_owned(), target: "usr/lib".to_owned() }],
            files: vec![LaunchFile { path: "/work/x".to_owned(), mode: 0, bytes: Vec::new() }],
            exec_scratch: false,
            delivery: Delivery::Descriptor,
            script: Vec::new(),
            script_env: Vec::new(),
            has_secret_files: false,
        };
        relocate(&mut launch, "/s");
        assert_eq!(launch.program, "/opt/a/program");
        let argv = ["x", "/s/work/main.py", "--a=/s/tmp/b", "/workshop", "work", "-c/work"];
        assert_eq!(launch.argv, argv);
        let env: Vec<_> = launch.env.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(
            env,
            ["/s/work", "/s/run/belljar/python:/usr/lib:/s/tmp", "/tmp/venv/bin:/run/x"]
        );
        assert!(launch.links.is_empty() && launch.files.is_empty());
        assert!(launch.mounts.iter().all(|mount| mount.source == mount.target));
        assert!(launch.mounts.iter().any(|mount| mount.source == "/tmp/venv"));
        assert!(launch.mounts.iter().any(|mount| mount.source == "/dev/null"));
    }
}

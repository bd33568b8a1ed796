//! Where this process stands in the hierarchies, from what proc(5) says. Pure.

use std::path::PathBuf;

/// A group, as a directory and as `/proc/<pid>/cgroup` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) directory: PathBuf,
    /// The controller whose line of `/proc/<pid>/cgroup` names it; empty for cgroup v2.
    pub(super) controller: &'static str,
    pub(super) path: String,
}

/// The group that counts each resource. In cgroup v2, and where v1 controllers share a mount,
/// several are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) memory: Place,
    pub(super) pids: Place,
    pub(super) cpu: Place,
}

impl Place {
    pub(super) fn child(&self, name: &str) -> Self {
        Self {
            directory: self.directory.join(name),
            controller: self.controller,
            path: format!("{}/{name}", self.path.trim_end_matches('/')),
        }
    }

    /// The group above, unless this one is the topmost that can be seen.
    pub(super) fn parent(&self) -> Option<Self> {
        let (above, _) = self.path.rsplit_once('/')?;
        Some(Self {
            directory: self.directory.parent()?.to_path_buf(),
            controller: self.controller,
            path: if above.is_empty() { "/".to_owned() } else { above.to_owned() },
        })
    }

    /// Whether the process that `proc_cgroup` describes is in this very group.
    pub(super) fn holds(&self, proc_cgroup: &str) -> bool {
        own_path(proc_cgroup, self.controller) == Some(self.path.as_str())
    }
}

impl Places {
    pub(super) fn child(&self, name: &str) -> Self {
        Self {
            memory: self.memory.child(name),
            pids: self.pids.child(name),
            cpu: self.cpu.child(name),
        }
    }

    /// Each directory once.
    pub(super) fn distinct(&self) -> Vec<&Place> {
        let mut places = vec![&self.memory];
        for place in [&self.pids, &self.cpu] {
            if places.iter().all(|known| known.directory != place.directory) {
                places.push(place);
            }
        }
        places
    }
}

/// Our own groups in the v1 hierarchies of the three controllers a jar needs.
pub(super) fn v1(proc_cgroup: &str, mountinfo: &str) -> Option<Places> {
    let own = |controller| own_place(proc_cgroup, mountinfo, controller);
    Some(Places { memory: own("memory")?, pids: own("pids")?, cpu: own("cpuacct")? })
}

/// Our own group in the v2 hierarchy.
pub(super) fn v2(proc_cgroup: &str, mountinfo: &str) -> Option<Place> {
    own_place(proc_cgroup, mountinfo, "")
}

fn own_place(proc_cgroup: &str, mountinfo: &str, controller: &'static str) -> Option<Place> {
    let path = own_path(proc_cgroup, controller)?;
    mountinfo.lines().find_map(|line| {
        let (root, point) = mount_of(line, controller)?;
        // A container is often shown a part of the hierarchy only; a group outside of that part
        // has no directory here.
        let below = path.strip_prefix(root.trim_end_matches('/'))?;
        if !below.is_empty() && !below.starts_with('/') {
            return None;
        }
        let below = below.trim_start_matches('/');
        // An empty join would leave a slash at the end.
        let point = PathBuf::from(point);
        let directory = if below.is_empty() { point } else { point.join(below) };
        Some(Place { directory, controller, path: path.to_owned() })
    })
}

/// The path of `controller`'s line; lines are `id:controller,controller:path`.
fn own_path<'a>(proc_cgroup: &'a str, controller: &str) -> Option<&'a str> {
    proc_cgroup.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (id, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let is_it = if controller.is_empty() {
            id == "0" && controllers.is_empty()
        } else {
            controllers.split(',').any(|name| name == controller)
        };
        is_it.then_some(path)
    })
}

/// Root and mount point, if this line of mountinfo mounts the hierarchy of `controller`.
fn mount_of(line: &str, controller: &str) -> Option<(String, String)> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, point) = (unescape(mount.next()?), unescape(mount.next()?));
    let mut file_system = file_system.split(' ');
    let (kind, options) = (file_system.next()?, file_system.nth(1)?);
    let is_it = if controller.is_empty() {
        kind == "cgroup2"
    } else {
        kind == "cgroup" && options.split(',').any(|option| option == controller)
    };
    is_it.then_some((root, point))
}

/// Undoes the octal escapes of blanks and backslashes in mountinfo.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(field.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const HYBRID_MOUNTS: &str = "\
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        32 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:4 - cgroup cgroup rw,cpu,cpuacct\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    const HYBRID_OWN: &str = "8:pids:/\n4:memory:/vm/126f\n2:cpu,cpuacct:/\n0::/\n";
    const V2_MOUNTS: &str = "26 20 0:24 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";

    #[test]
    fn on_a_hybrid_host_each_controller_has_its_own_place() {
        let own = v1(HYBRID_OWN, HYBRID_MOUNTS).unwrap();
        assert_eq!(own.memory.directory, Path::new("/sys/fs/cgroup/memory/vm/126f"));
        assert_eq!(own.pids.directory, Path::new("/sys/fs/cgroup/pids"));
        assert_eq!(own.cpu.directory, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(own.distinct().len(), 3);
        assert_eq!(own.child("x").pids.path, "/x");
        let unified = v2(HYBRID_OWN, HYBRID_MOUNTS).unwrap();
        assert_eq!(unified.directory, Path::new("/sys/fs/cgroup/unified"));
    }

    #[test]
    fn on_a_v2_host_there_is_no_v1_place() {
        let scope = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n";
        assert_eq!(v1(scope, V2_MOUNTS), None);
        let own = v2(scope, V2_MOUNTS).unwrap();
        assert!(own.directory.ends_with("user@1000.service/app.slice/run-1.scope"));
        assert!(own.parent().unwrap().path.ends_with("/app.slice"));
        assert_eq!(own.child("a").parent(), Some(own));
        assert_eq!(v2("0::/\n", V2_MOUNTS).unwrap().child("a").path, "/a");
    }

    #[test]
    fn a_container_sees_its_part_of_the_hierarchy_as_the_whole() {
        let own = "5:memory:/docker/77aa\n";
        let mounts =
            "9 8 0:3 /docker/77aa /sys/fs/cgroup/my\\040mem ro - cgroup cgroup rw,memory\n";
        let place = own_place(own, mounts, "memory").unwrap();
        assert_eq!(place.directory, Path::new("/sys/fs/cgroup/my mem"));
        for elsewhere in ["5:memory:/docker/77aab\n", "5:memory:/\n", "5:memoryless:/docker/77aa\n"]
        {
            assert_eq!(own_place(elsewhere, mounts, "memory"), None, "{elsewhere}");
        }
        let above = "9 8 0:3 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(v2("0::/\n", above), None);
    }

    #[test]
    fn a_place_holds_those_whose_line_names_it_and_nobody_else() {
        let jar = v1(HYBRID_OWN, HYBRID_MOUNTS).unwrap().child("belljar-1-2-3");
        assert!(jar.memory.holds("4:memory:/vm/126f/belljar-1-2-3\n8:pids:/\n"));
        assert!(!jar.memory.holds(HYBRID_OWN));
        assert!(!jar.memory.holds("4:memory:/vm/126f/belljar-1-2-33\n"));
        assert!(!jar.pids.holds("4:memory:/belljar-1-2-3\n8:pids:/\n"));
        assert!(!jar.memory.holds(""));
    }
}

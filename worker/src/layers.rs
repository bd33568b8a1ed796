//! The seven walls, one per file, in the order in which they are raised.

pub(crate) mod descriptors;
pub(crate) mod landlock;
pub(crate) mod namespaces;
pub(crate) mod privileges;
pub(crate) mod rlimits;
pub(crate) mod rootfs;
pub(crate) mod seccomp;

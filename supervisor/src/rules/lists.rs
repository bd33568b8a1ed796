//! Every list of the rules, once: what checks them, what holds them inside a jar, and what documents
//! them is made from these.

#[cfg(feature = "rules")]
pub(super) mod python;

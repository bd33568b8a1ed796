//! The gate: the only way out of a jar to a network.
//!
//! A jar with a gate has a network of its own in which there is nothing but a loopback interface.
//! The worker opens listening sockets there, before anything hostile runs, and hands them out: they
//! are all that leads outside. Names resolve, inside, to loopback addresses that stand for one
//! granted name each; what connects to one is accepted here, outside, where the real name is
//! resolved, every answer judged, one of them connected to, and bytes are relayed.

mod layout;
mod open;

mod names;
mod refusals;
mod table;

mod door;
mod proxy;

mod bound;
mod filled;
mod hello;
mod ranges;
mod relay;
mod stream;
mod upstream;

mod audit;
mod meter;

#[cfg(test)]
mod tests;

pub(crate) use layout::Layout;
pub(crate) use open::Gate;
pub use ranges::LOOPBACK_CAN_BE_OPENED;

//! What a run made of its network, in JSON.

use std::borrow::Cow;

use belljar::{Connection, NetworkUse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outcome::millis;

/// [`NetworkUse`] in JSON.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct NetworkRow {
    /// `loopback` or `gate`.
    pub(crate) kind: Cow<'static, str>,
    pub(crate) grants: Vec<String>,
    pub(crate) sent_bytes: u64,
    pub(crate) received_bytes: u64,
    /// Those that were asked for, whatever came of them.
    pub(crate) connections: Vec<ConnectionRow>,
    /// How many more there were.
    pub(crate) unrecorded_connections: u64,
}

/// [`Connection`] in JSON.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct ConnectionRow {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What it was pinned to, with the port; nothing where none was judged fit.
    pub(crate) address: Option<String>,
    pub(crate) opened_ms: f64,
    pub(crate) duration_ms: f64,
    pub(crate) sent_bytes: u64,
    pub(crate) received_bytes: u64,
    /// `closed`, or why it was refused or cut off.
    pub(crate) verdict: Cow<'static, str>,
}

impl NetworkRow {
    /// All that were asked for.
    pub(crate) fn connections(&self) -> u64 {
        self.unrecorded_connections + self.connections.len() as u64
    }
}

impl From<NetworkUse> for NetworkRow {
    fn from(network: NetworkUse) -> Self {
        Self {
            kind: Cow::Borrowed(network.kind),
            grants: network.grants,
            sent_bytes: network.sent_bytes,
            received_bytes: network.received_bytes,
            connections: network.connections.into_iter().map(Into::into).collect(),
            unrecorded_connections: network.unrecorded_connections,
        }
    }
}

impl From<Connection> for ConnectionRow {
    fn from(connection: Connection) -> Self {
        Self {
            host: connection.host,
            port: connection.port,
            address: connection.address.map(|address| address.to_string()),
            opened_ms: millis(connection.opened),
            duration_ms: millis(connection.duration),
            sent_bytes: connection.sent_bytes,
            received_bytes: connection.received_bytes,
            verdict: Cow::Borrowed(connection.verdict),
        }
    }
}

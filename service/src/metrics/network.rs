//! What runs made of their networks.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Labels, one_of};
use crate::json::NetworkRow;

/// What becomes of a connection.
const VERDICTS: [&str; 9] = [
    "closed",
    "not_granted",
    "unresolved",
    "refused_address",
    "unreachable",
    "server_name",
    "network_bytes",
    "reset",
    "run_ended",
];
const WAYS: [&str; 2] = ["sent", "received"];

#[derive(Debug, Default)]
pub(super) struct Network {
    connections: Family<Labels<1>, Counter>,
    bytes: Family<Labels<1>, Counter>,
}

impl Network {
    pub(super) fn count(&self, network: &NetworkRow) {
        for connection in &network.connections {
            let verdict = one_of(&VERDICTS, &connection.verdict).to_owned();
            self.connections.get_or_create(&[("verdict", verdict)]).inc();
        }
        if network.unrecorded_connections > 0 {
            let unknown = [("verdict", "unrecorded".to_owned())];
            self.connections.get_or_create(&unknown).inc_by(network.unrecorded_connections);
        }
        for (way, bytes) in WAYS.into_iter().zip([network.sent_bytes, network.received_bytes]) {
            self.bytes.get_or_create(&[("way", way.to_owned())]).inc_by(bytes);
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Connections that runs asked for, by what became of them";
        registry.register("network_connections", help, self.connections.clone());
        let help = "Bytes to and from granted places";
        registry.register("network_bytes", help, self.bytes.clone());
    }

    pub(super) fn begin_at_zero(&self) {
        for verdict in VERDICTS {
            drop(self.connections.get_or_create(&[("verdict", verdict.to_owned())]));
        }
        for way in WAYS {
            drop(self.bytes.get_or_create(&[("way", way.to_owned())]));
        }
    }
}

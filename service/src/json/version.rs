//! What speaks here, and what it speaks.

use schemars::JsonSchema;
use serde::Serialize;

/// The number of the contract. Another one is another contract.
pub(crate) const API: &str = "1";
const API_NUMBER: u16 = 1;
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `GET /v1/version`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct VersionRow {
    version: &'static str,
    api: u16,
    /// Between a supervisor and its workers.
    protocol: u16,
}

impl VersionRow {
    pub(crate) fn here() -> Self {
        Self { version: VERSION, api: API_NUMBER, protocol: belljar::PROTOCOL_VERSION }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_the_same_everywhere() {
        assert_eq!(API_NUMBER.to_string(), API);
    }
}

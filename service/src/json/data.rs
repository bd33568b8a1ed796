//! Bytes in JSON: text as it is, everything else as base64. Nothing is lost to replacement
//! characters.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is shorter is shown as it is if it can be.
const SHORT_BYTES: usize = 4096;

/// How bytes became a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Encoding {
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "base64")]
    Base64,
}

/// Bytes, and how they became a string.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Encoded {
    pub(crate) content: String,
    #[serde(default)]
    pub(crate) encoding: Encoding,
}

/// A plain string where that is enough.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a string, or an object of content and encoding")]
pub(crate) enum Data {
    Text(String),
    Encoded(Encoded),
}

/// Bytes that are base64 always.
pub(crate) struct Base64(pub(crate) Vec<u8>);

impl Encoding {
    /// The plainest that can carry all of these. What would be mostly escapes is no text either:
    /// as JSON it would be six times as long.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let is_text = |part: &[u8]| {
            let is_escaped = |byte: &&u8| **byte < b' ' && !b"\n\r\t\x1b".contains(*byte);
            let escaped = part.iter().filter(is_escaped).count();
            (part.len() < SHORT_BYTES || escaped < part.len() / 16)
                && std::str::from_utf8(part).is_ok()
        };
        if parts.iter().all(|part| is_text(part)) { Self::Utf8 } else { Self::Base64 }
    }

    /// `bytes` as [`Encoding::of`] said.
    pub(crate) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Base64 => BASE64.encode(bytes),
        }
    }

    /// # Errors
    /// What is wrong with `text`.
    pub(crate) fn decode(self, text: String) -> Result<Vec<u8>, String> {
        match self {
            Self::Utf8 => Ok(text.into_bytes()),
            Self::Base64 => BASE64.decode(&text).map_err(|error| format!("not base64: {error}")),
        }
    }
}

impl Encoded {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let encoding = Encoding::of(&[bytes]);
        Self { content: encoding.encode(bytes), encoding }
    }

    pub(crate) fn bytes(self) -> Result<Vec<u8>, String> {
        self.encoding.decode(self.content)
    }
}

impl Data {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        match Encoded::new(bytes) {
            Encoded { content, encoding: Encoding::Utf8 } => Self::Text(content),
            encoded @ Encoded { .. } => Self::Encoded(encoded),
        }
    }

    pub(crate) fn bytes(self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Encoded(encoded) => encoded.bytes(),
        }
    }
}

impl JsonSchema for Base64 {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Base64".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "contentEncoding": "base64" })
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Encoding::Base64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Encoding::Base64.decode(String::deserialize(deserializer)?);
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives() {
        for bytes in [&b""[..], b"text", "\u{202e}ä\0".as_bytes(), b"\xff\x00", b"half \xe2\x82"] {
            let json = serde_json::to_string(&Data::new(bytes)).unwrap();
            let data: Data = serde_json::from_str(&json).unwrap();
            assert_eq!(data.bytes().unwrap(), bytes, "{json}");
        }
    }

    #[test]
    fn one_stream_that_is_not_text_makes_both_base64() {
        assert_eq!(Encoding::of(&[b"a", b"b"]), Encoding::Utf8);
        assert_eq!(Encoding::of(&[b"a", b"\xff"]), Encoding::Base64);
        assert_eq!(Encoding::Base64.encode(b"\xff"), "/w==");
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        let data: Data = serde_json::from_str(r#"{"content":"*","encoding":"base64"}"#).unwrap();
        assert!(data.bytes().unwrap_err().contains("base64"));
    }
}

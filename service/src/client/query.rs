//! Places with queries.

/// The place with a query: a name and a value each, where there is a value.
pub(crate) fn with_query(place: &str, pairs: &[(&str, Option<String>)]) -> String {
    let given = pairs.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let query: Vec<_> = given.map(|(name, value)| format!("{name}={}", escape(value))).collect();
    if query.is_empty() { place.to_owned() } else { format!("{place}?{}", query.join("&")) }
}

/// Everything but what RFC 3986 reserves for nothing becomes its bytes in hexadecimal.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.extend(["%", &format!("{byte:02X}")]);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_carries_any_text() {
        let pairs = [
            ("label", Some("k=v&x ä/%".to_owned())),
            ("status", None),
            ("limit", Some("5".to_owned())),
        ];
        let expected = "/v1/runs?label=k%3Dv%26x%20%C3%A4%2F%25&limit=5";
        assert_eq!(with_query("/v1/runs", &pairs), expected);
        assert_eq!(with_query("/v1/runs", &[("status", None)]), "/v1/runs");
    }
}

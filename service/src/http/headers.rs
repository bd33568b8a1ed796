//! What the head of a request asks for.

use hyper::header::ACCEPT;
use hyper::{HeaderMap, StatusCode};

use super::answer::Refusal;

/// In which form events are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One line of JSON each.
    Lines,
    /// Server-sent events (HTML standard, 9.2).
    Sse,
}

/// The form of events that is asked for; nothing where an answer is to be one piece.
pub(super) fn events(headers: &HeaderMap) -> Option<Form> {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).find_map(|kind| {
        match kind.split(';').next().unwrap_or_default().trim() {
            "application/x-ndjson" => Some(Form::Lines),
            "text/event-stream" => Some(Form::Sse),
            _ => None,
        }
    })
}

/// Whether the answer is not to wait for the end (RFC 7240, 4.1).
pub(super) fn is_async(headers: &HeaderMap) -> bool {
    let preferred = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    preferred
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case("respond-async"))
}

/// The one value of a header that has no more than one.
///
/// # Errors
/// When it is there twice, or is no plain text of at most `most` bytes.
pub(super) fn one<'a>(
    headers: &'a HeaderMap,
    name: &str,
    most: usize,
) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let refused =
        |why: &str| Refusal::invalid(StatusCode::BAD_REQUEST, format!("header {name}: {why}"));
    if values.next().is_some() {
        return Err(refused("it is there twice"));
    }
    match value.to_str() {
        Ok(text) if (1..=most).contains(&text.len()) => Ok(Some(text)),
        _ => Err(refused(&format!("write 1 to {most} plain letters"))),
    }
}

/// A number in the query of a request.
///
/// # Errors
/// When what is there is none.
pub(super) fn number(query: Option<&str>, name: &str) -> Result<Option<u64>, Refusal> {
    word(query, name).map_or(Ok(None), |text| {
        text.parse().map(Some).map_err(|_| {
            let what = format!("{name}: write a number, not {text:?}");
            Refusal::invalid(StatusCode::BAD_REQUEST, what)
        })
    })
}

/// A word in the query of a request.
pub(super) fn word(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A path as it was before it became part of an address.
pub(super) fn decoded(path: &str) -> String {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// # Errors
/// When the query of a request has a word that nobody asks for.
pub(super) fn only(query: Option<&str>, known: &[&str]) -> Result<(), Refusal> {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    for (key, _) in pairs {
        if !known.contains(&&*key) {
            let what = format!("query: unknown word {key:?}; there is {}", known.join(", "));
            return Err(Refusal::invalid(StatusCode::BAD_REQUEST, what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(rows: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in rows {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_form_of_events_is_what_is_accepted_first() {
        for (accept, form) in [
            ("application/json", None),
            ("*/*", None),
            ("text/event-stream;q=1", Some(Form::Sse)),
            ("application/json, application/x-ndjson", Some(Form::Lines)),
        ] {
            assert_eq!(events(&heads(&[("accept", accept)])), form, "{accept}");
        }
    }

    #[test]
    fn an_answer_need_not_wait() {
        assert!(is_async(&heads(&[("prefer", "wait=1, Respond-Async")])));
        assert!(!is_async(&heads(&[("prefer", "wait=1")])));
    }

    #[test]
    fn a_header_that_is_there_twice_is_refused() {
        let headers = heads(&[("idempotency-key", "a"), ("idempotency-key", "a")]);
        assert!(one(&headers, "idempotency-key", 9).is_err());
        assert_eq!(one(&heads(&[("x", "a")]), "x", 9).unwrap(), Some("a"));
        assert!(one(&heads(&[("x", "aaaa")]), "x", 3).is_err());
    }

    #[test]
    fn a_query_is_decoded_and_knows_its_words() {
        assert_eq!(word(Some("a=b%20c&d=1"), "a").unwrap(), "b c");
        assert_eq!(number(Some("a=7"), "a").unwrap(), Some(7));
        assert!(number(Some("a=-7"), "a").is_err());
        assert!(only(Some("a=7&b"), &["a"]).is_err());
    }
}

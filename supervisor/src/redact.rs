//! Replaces secret values in what a payload wrote.
//!
//! A courtesy to transcripts and logs, never a barrier: a payload that may read a secret can
//! write it reversed, compressed or one letter per line, and no list of forms foresees that.

mod automaton;
mod forms;

use std::sync::Arc;

use belljar_protocol::SecretMap;
use zeroize::{Zeroize, Zeroizing};

use automaton::{Automaton, Needle, ROOT};

/// Redacts one stream, whatever the chunks in which it arrives.
///
/// Every byte that belongs to a form of a secret goes; what overlaps is replaced once, by
/// `[redacted:NAME]` of the form that began first. So secrets that overlap leave no rest, and the
/// time is linear whatever the secrets and the stream look like. What is held back between chunks
/// is never more than could still become a form.
pub(crate) struct Redactor {
    /// `None` without secrets: bytes pass as they are.
    automaton: Option<Arc<Automaton>>,
    state: u32,
    held: Zeroizing<Vec<u8>>,
    /// Where forms were found, counted from the first held byte; disjoint and in order.
    spans: Vec<Span>,
}

#[derive(Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    /// `None` once its replacement was written.
    name: Option<u32>,
}

impl Redactor {
    pub(crate) fn new(secrets: &SecretMap) -> Self {
        Self::of(&[secrets])
    }

    /// Where a name may have more than one value.
    pub(crate) fn of(secrets: &[&SecretMap]) -> Self {
        let label = |name| format!("[redacted:{name}]");
        let secrets = secrets.iter().flat_map(|secrets| secrets.iter());
        Self::with_replacements(secrets.map(|(name, value)| (label(name), value)))
    }

    /// That puts something else than the name of a secret in the place of its value.
    pub(crate) fn with_replacements<'a>(
        replacements: impl Iterator<Item = (String, &'a [u8])>,
    ) -> Self {
        let (mut names, mut needles) = (Vec::new(), Vec::new());
        for (index, (label, value)) in (0..).zip(replacements) {
            names.push(label);
            needles.extend(forms::of(value).into_iter().map(|bytes| Needle { bytes, name: index }));
        }
        let automaton = (!needles.is_empty()).then(|| Arc::new(Automaton::new(needles, names)));
        Self::with(automaton)
    }

    /// That redacts nothing.
    pub(crate) fn none() -> Self {
        Self::with(None)
    }

    /// Another stream of the same run.
    pub(crate) fn fresh(&self) -> Self {
        Self::with(self.automaton.clone())
    }

    /// Appends to `out` all that can be decided now that `chunk` is known.
    pub(crate) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let Some(automaton) = self.automaton.clone() else {
            out.extend_from_slice(chunk);
            return;
        };
        let mut rest = chunk.iter();
        loop {
            let next = match self.state {
                ROOT => rest.find(|byte| automaton.starts(**byte)),
                _ => rest.next(),
            };
            let Some(&byte) = next else { break };
            self.state = automaton.step(self.state, byte);
            if let Some((bytes, name)) = automaton.longest_match(self.state) {
                let end = self.held.len() + chunk.len() - rest.len();
                self.mark(end.saturating_sub(bytes), end, name);
            }
        }
        // No later match can begin before the text that the current state stands for.
        let undecided = automaton.depth(self.state);
        let decided = (self.held.len() + chunk.len()).saturating_sub(undecided);
        self.release(&automaton, chunk, decided, out);
    }

    /// Ends the stream: what is still held is no secret, and follows.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(automaton) = self.automaton.clone() {
            self.release(&automaton, &[], self.held.len(), out);
            self.state = ROOT;
        }
    }

    /// A whole text at once, such as an error message.
    pub(crate) fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// The same for bytes.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut redactor = self.fresh();
        redactor.push(bytes, &mut out);
        redactor.finish(&mut out);
        out
    }

    fn with(automaton: Option<Arc<Automaton>>) -> Self {
        // Never grows: a reallocation would leave a copy behind that is not wiped.
        let room = automaton.as_ref().map_or(0, |_| forms::PIECE_MAX_BYTES);
        Self {
            automaton,
            state: ROOT,
            held: Zeroizing::new(Vec::with_capacity(room)),
            spans: Vec::new(),
        }
    }

    fn mark(&mut self, start: usize, end: usize, name: u32) {
        let mut merged = Span { start, end, name: Some(name) };
        while let Some(earlier) = self.spans.pop_if(|span| span.end > merged.start) {
            if earlier.name.is_none() || earlier.start < merged.start {
                merged.name = earlier.name;
            }
            merged.start = merged.start.min(earlier.start);
        }
        self.spans.push(merged);
    }

    /// Writes the first `decided` bytes of what is held and `chunk`, and holds the rest.
    fn release(&mut self, automaton: &Automaton, chunk: &[u8], decided: usize, out: &mut Vec<u8>) {
        let mut written = 0;
        for span in self.spans.iter_mut().take_while(|span| span.start < decided) {
            copy(&self.held, chunk, written, span.start, out);
            if let Some(name) = span.name.take() {
                out.extend_from_slice(automaton.label(name).as_bytes());
            }
            written = span.end.min(decided);
        }
        copy(&self.held, chunk, written, decided, out);
        self.spans.retain_mut(|span| {
            let stays = span.end > decided;
            span.start = span.start.saturating_sub(decided);
            span.end = span.end.saturating_sub(decided);
            stays
        });
        if decided < self.held.len() {
            self.held.drain(..decided);
            self.held.extend_from_slice(chunk);
        } else {
            let from = decided - self.held.len();
            self.held.zeroize();
            self.held.extend_from_slice(chunk.get(from..).unwrap_or_default());
        }
    }
}

/// Appends bytes `from..to` of `held` followed by `chunk`.
fn copy(held: &[u8], chunk: &[u8], from: usize, to: usize, out: &mut Vec<u8>) {
    let (seam, from) = (held.len(), from.min(to));
    let old = from.min(seam)..to.min(seam);
    let new = from.saturating_sub(seam)..to.saturating_sub(seam);
    out.extend_from_slice(held.get(old).unwrap_or_default());
    out.extend_from_slice(chunk.get(new).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor(secrets: &[(&str, &[u8])]) -> Redactor {
        let mut map = SecretMap::new();
        for (name, value) in secrets {
            map.insert(name, value.to_vec()).unwrap();
        }
        Redactor::new(&map)
    }

    #[test]
    fn a_name_may_have_more_than_one_value() {
        let mut maps = [SecretMap::new(), SecretMap::new()];
        for (map, value) in maps.iter_mut().zip(["the-real-one", "what-stands-for-it"]) {
            map.insert("KEY", value.into()).unwrap();
        }
        let [real, inside] = &maps;
        let said = Redactor::of(&[real, inside]).text("the-real-one, what-stands-for-it");
        assert_eq!(said, "[redacted:KEY], [redacted:KEY]");
    }

    fn check(secrets: &[(&str, &[u8])], input: &[u8], expected: &str) {
        let whole = redactor(secrets);
        let run = |chunks: &[&[u8]]| {
            let (mut out, mut stream) = (Vec::new(), whole.fresh());
            for chunk in chunks {
                stream.push(chunk, &mut out);
            }
            stream.finish(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(run(&[input]), expected);
        assert_eq!(run(&input.chunks(1).collect::<Vec<_>>()), expected, "byte by byte");
        for first in 0..=input.len() {
            for second in first..=input.len() {
                let chunks = [&input[..first], &input[first..second], &input[second..]];
                assert_eq!(run(&chunks), expected, "split at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_value_goes_wherever_the_stream_is_cut() {
        let key: &[(&str, &[u8])] = &[("KEY", b"hunter2")];
        check(key, b"x hunter2 y", "x [redacted:KEY] y");
        check(key, b"hunthunter2hunter2h", "hunt[redacted:KEY][redacted:KEY]h");
        check(key, b"ends with hunter", "ends with hunter");
        check(key, b"", "");
        check(&[], b"hunter2", "hunter2");
    }

    #[test]
    fn overlapping_secrets_leave_no_rest() {
        let both: &[(&str, &[u8])] = &[("LEFT", b"abcdef"), ("RIGHT", b"defghi"), ("IN", b"cde")];
        check(both, b"-abcdefghi-", "-[redacted:LEFT]-");
        check(both, b"-xcdefghi-", "-x[redacted:IN]-");
        check(both, b"-abcdeg cde", "-ab[redacted:IN]g [redacted:IN]");
        check(&[("A", b"aaaa")], b"baaaaaaaab aaa", "b[redacted:A]b aaa");
        check(&[("LONG", b"abcabcabd"), ("ABC", b"abc")], b"abcabcabcabd", &{
            // The first `abc` touches the long one without overlapping it.
            "[redacted:ABC][redacted:LONG]".to_owned()
        });
    }

    #[test]
    fn every_form_of_a_value_goes() {
        let value = b"p@ss/w\xc3\xb6rd \"1\"?>~";
        let key: &[(&str, &[u8])] = &[("KEY", value)];
        for form in [
            "cEBzcy93w7ZyZCAiMSI/Pn4=",            // printf '%s' … | base64
            "eHBAc3Mvd8O2cmQgIjEiPz5+",            // one byte before it
            "eHlwQHNzL3fDtnJkICIxIj8+fg",          // two bytes before it
            "cEBzcy93w7ZyZCAiMSI_Pn4",             // URL-safe
            "p%40ss%2Fw%C3%B6rd%20%221%22%3F%3E~", // urllib.parse.quote(safe="")
            "p%40ss/w%c3%b6rd%20%221%22%3f%3e~",
            "p%40ss%2Fw%C3%B6rd+%221%22%3F%3E%7E", // URLSearchParams
            "704073732f77c3b67264202231223f3e7e",
            "704073732F77C3B67264202231223F3E7E",
            r#"p@ss/wörd \"1\"?>~"#,
            r#"p@ss/w\u00f6rd \"1\"?>~"#,
            r#"p@ss/w\xc3\xb6rd "1"?>~"#, // repr() of bytes
        ] {
            let text = redactor(key).text(&format!("<{form}>"));
            let inner =
                text.trim_start_matches('<').trim_end_matches('>').replace("[redacted:KEY]", "");
            // Base64 keeps at most the characters that it shares with its neighbours.
            assert!(text.contains("[redacted:KEY]") && inner.len() <= 5, "{form}: {text}");
        }
    }

    #[test]
    fn lines_wrapped_base64_and_trimmed_values_go() {
        let pem = b"-----BEGIN KEY-----\nMIIBVAIBADANBg\r\nkqhkiG9w0BAQEF\n-----END KEY-----\n";
        let text = redactor(&[("PEM", pem)]).text("1: MIIBVAIBADANBg\n2: kqhkiG9w0BAQEF\n");
        assert_eq!(text, "1: [redacted:PEM]\n2: [redacted:PEM]\n");
        assert_eq!(redactor(&[("T", b"tok3n\n")]).text("a tok3n b"), "a [redacted:T] b");
        let long = redactor(&[("LONG", &[b'k'; 90])]);
        let line = "a2tr".repeat(19);
        assert_eq!(
            long.text(&format!("{line}\n{}", "a2tr".repeat(11))),
            "[redacted:LONG]\n[redacted:LONG]"
        );
    }

    #[test]
    fn short_values_do_not_shred_the_output() {
        assert_eq!(redactor(&[("A", b"ab"), ("B", b"")]).text("ab abc"), "ab abc");
        assert_eq!(
            redactor(&[("A", b"abc")]).text("abcd 616263 YWJj"),
            "[redacted:A]d 616263 YWJj"
        );
    }

    #[test]
    fn ordinary_output_is_not_held_back_and_memory_stays_flat() {
        let mut stream = redactor(&[("BIG", &vec![b'a'; 60_000]), ("KEY", b"hunter2")]);
        let mut out = Vec::new();
        stream.push(b"prompt> ", &mut out);
        assert_eq!(out, b"prompt> ");
        let flood = vec![b'a'; 65_536];
        for _ in 0..64 {
            stream.push(&flood, &mut out);
            assert!(stream.held.len() < forms::PIECE_MAX_BYTES && stream.spans.len() < 4);
        }
        stream.finish(&mut out);
        assert_eq!(out, b"prompt> [redacted:BIG]");
    }
}

//! A run as it happens.

use std::convert::Infallible;

use belljar::Chunk;
use futures_util::stream::{Stream, StreamExt as _, iter, unfold};
use hyper::body::{Bytes, Frame};
use serde::Serialize;
use serde_json::value::RawValue;

use super::headers::Form;
use crate::broker::{Answer, Follower, Held, Told};
use crate::json::{self, Denial, Encoded};

/// What is shorter costs less to copy than to write in three pieces.
const WORTH_SHARING_BYTES: usize = 64 << 10;

#[derive(Serialize)]
struct Row<'a, T: Serialize> {
    event: &'a str,
    seq: usize,
    #[serde(flatten)]
    what: T,
}

#[derive(Serialize)]
struct Named<'a> {
    id: &'a str,
}

/// Everything that `follower` comes to see. With `held`, the run ends when nobody listens.
pub(super) fn stream(
    follower: Follower,
    form: Form,
    held: Option<Held>,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
    let events = unfold((follower, held), move |(mut follower, held)| async move {
        let (seq, told) = follower.next().await?;
        let parts = tell(follower.id(), seq, &told, form);
        Some((parts, (follower, held)))
    });
    events.flat_map(|parts| iter(parts.into_iter().map(|part| Ok(Frame::data(part)))))
}

/// The last event, without a copy of what everybody else is told as well.
fn outcome(seq: usize, answer: &Answer, form: Form) -> Vec<Bytes> {
    let head = format!(r#"{{"event":"outcome","seq":{seq},"outcome":"#);
    let (head, tail) = match form {
        Form::Lines => (head, "}\n"),
        Form::Sse => (format!("id: {seq}\nevent: outcome\ndata: {head}"), "}\n\n"),
    };
    let (json, tail) = (answer.json(), Bytes::from_static(tail.as_bytes()));
    if json.len() > WORTH_SHARING_BYTES {
        return vec![Bytes::from(head), json, tail];
    }
    vec![Bytes::from([head.as_bytes(), &json, &tail].concat())]
}

fn tell(id: &str, seq: usize, told: &Told, form: Form) -> Vec<Bytes> {
    let (event, text) = match told {
        Told::Queued => ("queued", row("queued", seq, Named { id })),
        Told::Started => ("started", row("started", seq, Named { id })),
        Told::Output(Chunk::Stdout(bytes)) => ("stdout", row("stdout", seq, Encoded::new(bytes))),
        Told::Output(Chunk::Stderr(bytes)) => ("stderr", row("stderr", seq, Encoded::new(bytes))),
        Told::Output(Chunk::Denial(denied)) => {
            ("denial", row("denial", seq, Denial::from(denied.clone())))
        }
        // What a newer library tells is told by the outcome as well.
        Told::Output(_) => return Vec::new(),
        Told::Ended(Ok(answer)) => return outcome(seq, answer, form),
        Told::Ended(Err(problem)) => ("problem", over("problem", seq, &json::line(&**problem))),
    };
    vec![Bytes::from(framed(event, seq, &text, form))]
}

/// The only event that is retained of a run which is over: how it ended. It comes after whatever
/// was seen.
pub(super) fn last(answer: &RawValue, is_problem: bool, form: Form, seq: usize) -> String {
    let event = if is_problem { "problem" } else { "outcome" };
    framed(event, seq, &over(event, seq, answer.get()), form)
}

/// `answer` is JSON already.
pub(super) fn over(event: &str, seq: usize, answer: &str) -> String {
    format!(r#"{{"event":"{event}","seq":{seq},"{event}":{answer}}}"#)
}

pub(super) fn framed(event: &str, seq: usize, text: &str, form: Form) -> String {
    match form {
        Form::Lines => format!("{text}\n"),
        Form::Sse => format!("id: {seq}\nevent: {event}\ndata: {text}\n\n"),
    }
}

pub(super) fn row<T: Serialize>(event: &str, seq: usize, what: T) -> String {
    json::line(&Row { event, seq, what })
}

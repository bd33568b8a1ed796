use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::HeaderMap;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::HeaderValue;

use crate::redact::Redactor;

use super::bindings::Bound;

/// The body of an answer, with placeholders in the place of values.
///
/// No longer held back than a value could still be in it: events and progress arrive as they are
/// sent. Trailers end here.
pub(super) struct Echo {
    inner: Incoming,
    /// Nothing for what passes as it is, and when all was told.
    redactor: Option<Redactor>,
}

impl Echo {
    pub(super) fn new(inner: Incoming, bound: &Bound) -> Self {
        let is_short = inner.size_hint().upper().is_some_and(|it| it < Bound::echo_least_bytes());
        // Whatever it says of its coding: a plain one that claims another would pass unseen.
        let redactor = (!is_short).then(|| bound.echo());
        Self { inner, redactor }
    }
}

impl Body for Echo {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        loop {
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(context)).transpose()?;
            let Some(frame) = frame else {
                let mut out = Vec::new();
                if let Some(mut redactor) = self.redactor.take() {
                    redactor.finish(&mut out);
                }
                let rest = (!out.is_empty()).then(|| Ok(Frame::data(out.into())));
                return Poll::Ready(rest);
            };
            let Ok(data) = frame.into_data() else { continue };
            let Some(redactor) = &mut self.redactor else {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            };
            let mut out = Vec::with_capacity(data.len());
            redactor.push(&data, &mut out);
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.redactor.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.redactor {
            // What is replaced changes the length.
            Some(_) => SizeHint::default(),
            None => self.inner.size_hint(),
        }
    }
}

/// Puts placeholders for values in the header of an answer.
pub(super) fn in_headers(headers: &mut HeaderMap, bound: &Bound) {
    let redactor = bound.echo();
    for value in headers.values_mut() {
        let told = redactor.bytes(value.as_bytes());
        if told != value.as_bytes() {
            *value = HeaderValue::from_bytes(&told).unwrap_or(HeaderValue::from_static(""));
        }
    }
}

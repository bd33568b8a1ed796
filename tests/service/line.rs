//! A connection that stays open from one request to the next.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// Longer than anything here waits for.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Line {
    stream: BufReader<UnixStream>,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    head: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Line {
    pub(crate) fn to(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Asks, and reads the whole answer.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        place: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<Answered> {
        self.say(method, place, headers, body)?;
        self.answer()
    }

    /// The whole of an answer.
    pub(crate) fn answer(&mut self) -> io::Result<Answered> {
        let (status, head) = self.head()?;
        let mut answered = Answered { status, head, body: String::new() };
        if answered.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk()? {
                answered.body.push_str(&chunk);
            }
        } else {
            let length = answered.header("content-length").and_then(|text| text.parse().ok());
            answered.body = self.exactly(length.unwrap_or(0))?;
        }
        Ok(answered)
    }

    pub(crate) fn say(
        &mut self,
        method: &str,
        place: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> io::Result<()> {
        let mut lines = String::new();
        for (name, value) in headers {
            lines.extend([name, ": ", value, "\r\n"]);
        }
        let length = body.len();
        let asked = format!(
            "{method} {place} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{lines}\r\n{body}"
        );
        self.stream.get_mut().write_all(asked.as_bytes())
    }

    /// The status of an answer, and its headers with their names in small letters.
    pub(crate) fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let status = self.text()?;
        let number = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = number.ok_or_else(|| io::Error::other(format!("no status in {status:?}")))?;
        let mut head = Vec::new();
        loop {
            let line = self.text()?;
            let Some((name, value)) = line.split_once(": ") else { return Ok((status, head)) };
            head.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }

    /// The next piece of an answer that comes in pieces; nothing after the last one.
    pub(crate) fn chunk(&mut self) -> io::Result<Option<String>> {
        let length = self.text()?;
        let length = usize::from_str_radix(&length, 16).map_err(io::Error::other)?;
        let chunk = self.exactly(length)?;
        self.text()?;
        Ok((length > 0).then_some(chunk))
    }

    fn text(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn exactly(&mut self, length: usize) -> io::Result<String> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        String::from_utf8(bytes).map_err(io::Error::other)
    }
}

impl Answered {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// When it is worth another try, if it is refused for want of room and for nothing else.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        if !matches!(self.status, 429 | 503) {
            return None;
        }
        let problem = self.json();
        assert_eq!(problem["code"], "overloaded", "{problem}");
        let millis = problem["retry_after_ms"].as_u64().unwrap();
        let seconds = self.header("retry-after").unwrap().parse::<u64>().unwrap();
        assert_eq!(seconds, millis.div_ceil(1000), "{problem}");
        assert!(millis > 0, "{problem}");
        Some(Duration::from_millis(millis))
    }
}

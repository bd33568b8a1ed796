//! Where a service is: behind a socket of this host, or behind one of another.

use std::fmt::{self, Display};
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

const MOST_BYTES: usize = 1024;
const FORM: &str = "write ssh://[USER@]HOST[:PORT][/PATH/TO/SOCKET]";

/// A service of this host or of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Socket(PathBuf),
    Host(Host),
}

/// Another host, as ssh is to reach it. No part of it can be taken for an option, or for more than
/// one word by any shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(super) user: Option<String>,
    pub(super) name: String,
    pub(super) port: Option<u16>,
    /// Absolute. Nothing for the one where a service of that user listens by itself.
    pub(super) socket: Option<String>,
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err("longer than any address".to_owned());
        }
        let rest = text.strip_prefix("ssh://").ok_or_else(|| FORM.to_owned())?;
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(self::user(user)?), place),
            None => (None, authority),
        };
        let (name, port) = name_and_port(place)?;
        let port = port.map(self::port).transpose()?;
        Ok(Self { user, name: self::name(name)?, port, socket: socket(path)? })
    }
}

impl Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        if self.name.contains(':') {
            write!(f, "[{}]", self.name)?;
        } else {
            f.write_str(&self.name)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(self.socket.as_deref().unwrap_or_default())
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Host(host) => host.fmt(f),
        }
    }
}

/// Letters that neither ssh nor a shell sees anything in: what a `ProxyCommand` of ssh's
/// configuration makes of a name goes to a shell of this side.
fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_')
}

fn user(text: &str) -> Result<String, String> {
    let is_plain = text.chars().all(|letter| is_plain(letter) || matches!(letter, '+' | '@'));
    if text.is_empty() || text.starts_with('-') || !is_plain {
        return Err(format!(
            "the user: write letters, digits, . _ + @ and -, none in front; {FORM}"
        ));
    }
    Ok(text.to_owned())
}

fn name(text: &str) -> Result<String, String> {
    let is_number = text.contains(':');
    let is_right = match text.split_once('%') {
        // Which of this host's links a local address is behind.
        Some((number, link)) => {
            is_number && is_ipv6(number) && !link.is_empty() && link.chars().all(is_plain)
        }
        None if is_number => is_ipv6(text),
        None => !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain),
    };
    if !is_right {
        return Err(format!("the host: write a name of ASCII or an address; {FORM}"));
    }
    Ok(text.to_owned())
}

fn is_ipv6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

/// A name, or an address in brackets, and what is behind its colon.
fn name_and_port(text: &str) -> Result<(&str, Option<&str>), String> {
    let Some(bracketed) = text.strip_prefix('[') else {
        return Ok(match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        });
    };
    let (name, rest) = bracketed.split_once(']').ok_or_else(|| FORM.to_owned())?;
    match rest.strip_prefix(':') {
        _ if !name.contains(':') => Err(FORM.to_owned()),
        Some(port) => Ok((name, Some(port))),
        None if rest.is_empty() => Ok((name, None)),
        None => Err(FORM.to_owned()),
    }
}

fn port(text: &str) -> Result<u16, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|port| is_number && *port > 0);
    number.ok_or_else(|| "the port: write a number from 1 to 65535".to_owned())
}

fn socket(text: &str) -> Result<Option<String>, String> {
    if text.is_empty() || text == "/" {
        return Ok(None);
    }
    let wrong = |what: &str| Err(format!("the path: {what}"));
    if text.contains(['?', '#']) {
        return wrong("? and # are written as %3F and %23");
    }
    let Ok(path) = percent_decode_str(text).decode_utf8() else {
        return wrong("it is no UTF-8");
    };
    // Shells do not agree on what a backslash in quotes is.
    if path.chars().any(|letter| letter.is_control() || letter == '\\') {
        return wrong("it has a control character or a backslash");
    }
    Ok(Some(path.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (text, user, name, port, socket) in [
            ("ssh://h", None, "h", None, None),
            ("ssh://h/", None, "h", None, None),
            ("ssh://me@build-1.example:2222", Some("me"), "build-1.example", Some(2222), None),
            ("ssh://a@b@h/run/b.sock", Some("a@b"), "h", None, Some("/run/b.sock")),
            ("ssh://[fe80::1%eth0]:22/s", None, "fe80::1%eth0", Some(22), Some("/s")),
            ("ssh://127.0.0.1/a%20b'c$(d)", None, "127.0.0.1", None, Some("/a b'c$(d)")),
        ] {
            let host: Host = text.parse().unwrap();
            assert_eq!(
                (host.user.as_deref(), &*host.name, host.port, host.socket.as_deref()),
                (user, name, port, socket),
                "{text}"
            );
        }
        let host: Host = "ssh://me@[::1]:22/s".parse().unwrap();
        assert_eq!(host.to_string(), "ssh://me@[::1]:22/s");
    }

    #[test]
    fn nothing_becomes_an_option_or_a_word_of_a_shell() {
        for text in [
            "",
            "h",
            "http://h",
            "ssh://",
            "ssh://@h",
            "ssh://-oProxyCommand=x",
            "ssh://-h",
            "ssh://-l@h",
            "ssh://a b@h",
            "ssh://$(id)@h",
            "ssh://`id`@h",
            "ssh://u;id@h",
            "ssh://u:secret@h",
            "ssh://h;id",
            "ssh://h id",
            "ssh://h$(id)",
            "ssh://h%25x",
            "ssh://h\nx",
            "ssh://ü",
            "ssh://h:",
            "ssh://h:0",
            "ssh://h:-1",
            "ssh://h:+1",
            "ssh://h:65536",
            "ssh://h:22:22",
            "ssh://::1",
            "ssh://[::1",
            "ssh://[::1]x",
            "ssh://[h]",
            "ssh://[-h]",
            "ssh://[::1%$(id)]",
            "ssh://h/a\nb",
            "ssh://h/a%0Ab",
            "ssh://h/a%00b",
            "ssh://h/a%5Cb",
            "ssh://h/a\\b",
            "ssh://h/%ff",
            "ssh://h/a?b",
        ] {
            assert!(text.parse::<Host>().is_err(), "{text:?}");
        }
        assert!(format!("ssh://{}", "h".repeat(2000)).parse::<Host>().is_err());
    }
}

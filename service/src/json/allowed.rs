//! What a request asks to be allowed: a network, secrets that stay outside of it, a mode.

use std::collections::BTreeMap;

use belljar::{Error, Grant, Mode, Network};

use super::request::invalid;

/// How much of the language a request wants.
///
/// # Errors
/// [`Error::Refused`] for a word that is none: it stands for the strictest, in which nothing runs.
pub(super) fn mode(word: Option<&str>) -> Result<Mode, Error> {
    let Some(word) = word else { return Ok(Mode::Full) };
    let mode = Mode::from_word(word);
    if mode.name() == word {
        return Ok(mode);
    }
    let what = format!("mode: {word:?} is none; write off, restricted, standard or full");
    Err(Error::Refused { what, findings: Vec::new() })
}

/// No more than `most` instead of what `word` says, which is all where it says nothing.
pub(super) fn lower(word: &mut Option<String>, most: Mode) {
    let asked = word.as_deref().map_or(Mode::Full, Mode::from_word);
    if asked > most {
        *word = Some(most.name().to_owned());
    }
}

/// What of a network a request wants: nothing, `none`, `loopback`, or places.
///
/// # Errors
/// [`Error::Invalid`] for what is none of these.
pub(crate) fn network(words: &[String]) -> Result<Network, Error> {
    match words {
        [] => return Ok(Network::None),
        [word] if word == "none" => return Ok(Network::None),
        [word] if word == "loopback" => return Ok(Network::Loopback),
        _ => {}
    }
    // Whoever has a gate has a loopback interface before it.
    let places = words.iter().filter(|word| *word != "loopback");
    let grants = places.map(|word| word.parse()).collect::<Result<Vec<Grant>, _>>();
    Ok(Network::Gate(grants.map_err(|error| invalid("network", &error.to_string()))?))
}

/// Secrets that stay outside, and for whom.
///
/// # Errors
/// Which one is no secret, or stays for a place that is not granted.
pub(crate) fn bound(
    hosts: &BTreeMap<String, String>,
    is_secret: impl Fn(&str) -> bool,
    network: &Network,
) -> Result<Vec<(String, Grant)>, String> {
    let granted = match network {
        Network::Gate(grants) => grants.as_slice(),
        Network::None | Network::Loopback => &[],
    };
    let bind = |(name, place): (&String, &String)| {
        let place: Grant = place.parse().map_err(|error| format!("{name}: {error}"))?;
        if !is_secret(name) {
            return Err(format!("{name}: it is not among the secrets"));
        }
        if !granted.iter().any(|grant| grant.covers(&place)) {
            return Err(format!("{name}: {place} is not among the places that are granted"));
        }
        Ok((name.clone(), place))
    };
    hosts.iter().map(bind).collect()
}

/// [`network`] the other way round.
pub(super) fn words(network: &Network) -> Vec<String> {
    match network {
        Network::None => Vec::new(),
        Network::Loopback => vec!["loopback".to_owned()],
        Network::Gate(grants) => grants.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_only_lowered() {
        for (asked, most, comes_to) in [
            (None, Mode::Full, None),
            (None, Mode::Standard, Some("standard")),
            (Some("restricted"), Mode::Standard, Some("restricted")),
            (Some("full"), Mode::Off, Some("off")),
            (Some("none"), Mode::Standard, Some("none")),
        ] {
            let mut word = asked.map(str::to_owned);
            lower(&mut word, most);
            assert_eq!(word.as_deref(), comes_to, "{asked:?} {most}");
        }
    }

    #[test]
    fn a_network_is_none_a_loopback_or_places() {
        let network = |words: &[&str]| {
            network(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap()
        };
        assert_eq!(network(&[]), Network::None);
        assert_eq!(network(&["none"]), Network::None);
        assert_eq!(network(&["loopback"]), Network::Loopback);
        let gate = Network::Gate(vec!["a.test:1".parse().unwrap()]);
        assert_eq!(network(&["a.test:1"]), gate);
        assert_eq!(network(&["loopback", "A.test.:1"]), gate);
    }
}

use super::super::bindings::{PLACEHOLDER_BYTES, PREFIX};
use super::super::{Bindings, Trust};
use super::{NAME, VALUE, source, take};
use crate::{Error, Network, Source};

fn refusal(source: Source) -> String {
    let mut source = source;
    match Bindings::take(&mut source) {
        Err(Error::Invalid(why)) => why,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("{source:?} was taken"),
    }
}

#[test]
fn a_placeholder_stands_for_a_value() {
    let mut one = source(&[("KEY", VALUE, "api.example.com:80")]).secret("FREE", "free").unwrap();
    let taken = Bindings::take(&mut one).unwrap();
    let placeholder = one.secrets.get("KEY").unwrap();
    assert_eq!(placeholder.len(), PLACEHOLDER_BYTES);
    assert!(placeholder.starts_with(PREFIX));
    assert_eq!(one.secrets.get("FREE").unwrap(), b"free");
    assert_ne!(take(80, &[]).1.as_bytes(), placeholder, "another run has another");
    let bound = taken.at(NAME, 80).unwrap();
    assert!(!format!("{:?}", bound.bindings()).contains("hunter2"));
}

#[test]
fn a_newline_at_the_end_of_a_file_is_no_part_of_a_secret() {
    let mut source = source(&[("KEY", "from-a-file\r\n", "api.example.com:80")]);
    let bindings = Bindings::take(&mut source).unwrap();
    let bound = bindings.at(NAME, 80).unwrap();
    assert_eq!(bound.bindings()[0].value.as_slice(), b"from-a-file");
}

#[test]
fn what_cannot_be_bound_is_refused() {
    let place = "api.example.com:80";
    for (value, why) in [
        ("a".repeat(7), "it has 7 bytes"),
        ("a".repeat(8193), "it has 8193 bytes"),
        ("two\r\nlines".to_owned(), "a control"),
        ("with\0nul..".to_owned(), "a control"),
        (" spaced out".to_owned(), "outer space"),
    ] {
        let refused = refusal(source(&[("KEY", &value, place)]));
        assert!(refused.starts_with("secret KEY: ") && refused.contains(why), "{refused}");
        assert!(!refused.contains(&value), "{refused}");
    }
    for other in ["*.example.com:443", "192.0.2.7:443", "10.0.0.0/8:443"] {
        let refused = refusal(source(&[("KEY", VALUE, other)]));
        assert!(refused.contains("one exact name"), "{refused}");
    }
    let twice = source(&[("KEY", VALUE, place), ("KEY", VALUE, "b.example.com:80")]);
    assert!(refusal(twice).contains("bound twice"));
    let bind = |source: Source| source.bind_secret("KEY", place.parse().unwrap());
    let granted = |grant: &str| Network::Gate(vec![grant.parse().unwrap()]);
    let missing = bind(Source::code("").network(granted(place)));
    assert!(refusal(missing).contains("there is none"));
    let secret = || bind(Source::code("").secret("KEY", VALUE).unwrap());
    assert!(refusal(secret()).contains("there is no gate"));
    assert!(refusal(secret().network(Network::Loopback)).contains("there is no gate"));
    let elsewhere = secret().network(granted("api.example.com:81"));
    assert!(refusal(elsewhere).contains("not granted"));
    let below = secret().network(granted("*.example.com:80"));
    assert!(Bindings::take(&mut { below }).is_ok(), "a wider grant covers it");
}

#[test]
fn programs_are_told_whom_to_trust_where_tls_is_spoken() {
    let (plain, _) = take(80, &[]);
    let nothing = plain.trust(&[]).unwrap();
    assert!(nothing.files.is_empty() && nothing.env.is_empty());
    let (tls, _) = take(443, &[]);
    let Trust { files, env } = tls.trust(&[("PATH".to_owned(), "/bin".to_owned())]).unwrap();
    let [bundle, added] = files.try_into().unwrap();
    assert!(
        String::from_utf8(bundle.bytes).unwrap().ends_with(str::from_utf8(&added.bytes).unwrap())
    );
    for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"] {
        assert!(env.contains(&(name.to_owned(), bundle.path.clone())), "{name}");
    }
    assert!(env.contains(&("NODE_EXTRA_CA_CERTS".to_owned(), added.path)));
    let set = [("SSL_CERT_FILE".to_owned(), "/work/mine.pem".to_owned())];
    let refused = tls.trust(&set).err().unwrap().to_string();
    assert!(refused.contains("environment SSL_CERT_FILE"), "{refused}");
    assert!(plain.trust(&set).is_ok());
}

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Names to values, handed to a payload read-only and wiped when dropped.
///
/// Never in argv, the environment, a file of the host or a log: `Debug` shows the names only.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretMap(BTreeMap<String, Vec<u8>>);

/// A name that is not `^[A-Z][A-Z0-9_]*$`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSecret(pub String);

impl SecretMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one secret; a second value under a name replaces (and wipes) the first.
    ///
    /// # Errors
    /// [`InvalidSecret`] when `name` does not match `^[A-Z][A-Z0-9_]*$`; the value is wiped.
    pub fn insert(&mut self, name: &str, mut value: Vec<u8>) -> Result<(), InvalidSecret> {
        let mut letters = name.bytes();
        let head_is_upper = letters.next().is_some_and(|b| b.is_ascii_uppercase());
        if !head_is_upper
            || !letters.all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        {
            value.zeroize();
            return Err(InvalidSecret(name.to_owned()));
        }
        if let Some(mut old) = self.0.insert(name.to_owned(), value) {
            old.zeroize();
        }
        Ok(())
    }

    /// The value of one.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Names and values, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// Whether there is nothing to hand over.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all names and values together.
    pub fn len_bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

impl fmt::Debug for SecretMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Drop for SecretMap {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

impl fmt::Display for InvalidSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret name {:?} does not match ^[A-Z][A-Z0-9_]*$", self.0)
    }
}

impl std::error::Error for InvalidSecret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_upper_case_and_starts_with_a_letter() {
        let mut map = SecretMap::new();
        for good in ["A", "API_KEY", "K2_"] {
            assert_eq!(map.insert(good, vec![1]), Ok(()));
        }
        for bad in ["", "a", "2A", "_A", "A-B", "A B", "Ä", "A\0", "A\n"] {
            assert!(map.insert(bad, vec![1]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn debug_never_shows_a_value() {
        let mut map = SecretMap::new();
        map.insert("KEY", b"hunter2".to_vec()).unwrap();
        assert_eq!(format!("{map:?}"), r#"{"KEY"}"#);
    }
}

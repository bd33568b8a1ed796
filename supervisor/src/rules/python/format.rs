//! Format strings: a field may read attributes of what it shows.

/// The attributes and keys that the fields of a format string read, those of nested fields as well.
pub(super) fn attributes(text: &str) -> impl Iterator<Item = &str> {
    // Text between braces that is no field reads nothing, and is no name of the lists either.
    text.split(['{', '}']).skip(1).flat_map(|field| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        field.split(move |c: char| !is_word(c)).skip(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_tell_what_they_read() {
        let read: Vec<_> = attributes("__a__ {0.__b__[__c__].d:>{x.__e__}} {{0.f}}").collect();
        assert!(["__b__", "__c__", "__e__"].iter().all(|name| read.contains(name)));
        assert!(!read.contains(&"__a__"));
    }
}

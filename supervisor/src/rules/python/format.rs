//! Format strings: a field may read attributes of what it shows.

/// How a field is shown may hold fields, and those no others.
const LEVELS: u32 = 2;

/// The attributes and keys that the fields of a format string read, those of nested fields as well.
pub(super) fn attributes(text: &str) -> impl Iterator<Item = &str> {
    let mut texts = vec![(text, LEVELS)];
    let mut names = Vec::new();
    while let Some((mut text, levels)) = texts.pop() {
        while let Some(field) = next_field(&mut text) {
            let (name, shown) = field.split_at(name_end(field));
            names.push(name);
            texts.extend(levels.checked_sub(1).map(|levels| (shown, levels)));
        }
    }
    names.into_iter().flat_map(|name| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        name.split(move |c: char| !is_word(c)).skip(1)
    })
}

/// What stands in the next braces. Two of them are text; those in brackets are of a key.
fn next_field<'a>(rest: &mut &'a str) -> Option<&'a str> {
    loop {
        let (_, field) = rest.split_once('{')?;
        if let Some(after) = field.strip_prefix('{') {
            *rest = after;
            continue;
        }
        let (mut depth, mut is_key) = (1_u32, false);
        let end = field.find(|c| {
            match c {
                '[' => is_key = true,
                ']' => is_key = false,
                '{' if !is_key => depth += 1,
                '}' if !is_key => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        // One that is never closed formats nothing, but what reads like it is looked at.
        let (field, after) = field.split_at(end.unwrap_or(field.len()));
        *rest = after.strip_prefix('}').unwrap_or(after);
        return Some(field);
    }
}

/// Where the name of a field ends, and how it is shown begins.
fn name_end(field: &str) -> usize {
    let mut is_key = false;
    let end = field.find(|c| {
        match c {
            '[' => is_key = true,
            ']' => is_key = false,
            _ => {}
        }
        !is_key && [':', '!'].contains(&c)
    });
    end.unwrap_or(field.len())
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

    #[test]
    fn text_between_fields_reads_nothing() {
        let read: Vec<_> = attributes("{a.b}, __c__ and {{0.__d__}} {x:.__e__} }} {0}").collect();
        assert_eq!(read, ["b"]);
    }

    #[test]
    fn braces_in_keys_close_no_field() {
        for text in
            ["{0[}].__a__}", "{0[{].__a__}", "{0:{x[}]}{y.__a__}}", "{{{0.__a__}", "{0.__a__"]
        {
            assert!(attributes(text).any(|name| name == "__a__"), "{text}");
        }
    }
}

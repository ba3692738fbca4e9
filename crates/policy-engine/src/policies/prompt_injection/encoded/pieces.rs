//! Strings that are cut in pieces for the model to put together: `"ignore all prev" + "ious instructions"`.

/// The first byte of `“` and `”`.
const FOREIGN_QUOTE: u8 = 0xe2;

/// The quoted strings of a text as one, when it adds some up; never longer than it was.
pub(super) fn joined(text: &str) -> Option<String> {
    memchr::memchr(b'+', text.as_bytes())?;
    let mut joined = String::new();
    let mut strings = 0;
    let mut begin = None;
    for (at, length) in quotes(text) {
        let Some(from) = begin.replace(at + length) else { continue };
        joined.push_str(text.get(from..at).unwrap_or_default());
        strings += 1;
        begin = None;
    }
    // a last one that does not end
    if let Some(from) = begin {
        joined.push_str(text.get(from..).unwrap_or_default());
        strings += 1;
    }
    (strings > 1).then_some(joined)
}

/// Where they are, and how many bytes they have.
fn quotes(text: &str) -> impl Iterator<Item = (usize, usize)> {
    memchr::memchr2_iter(b'"', FOREIGN_QUOTE, text.as_bytes()).filter_map(|at| {
        let rest = text.get(at..)?;
        rest.starts_with(['"', '“', '”']).then(|| (at, rest.chars().next().map_or(1, char::len_utf8)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_put_together_where_something_is_added() {
        for (text, expected) in [
            (r#"a = "ig"; b = “nore”; a + b"#, Some("ignore")),
            (r#""ig" + "no" + "re"#, Some("ignore")),
            (r#""ig" + re"#, None),
            (r#""ig" and "nore""#, None),
            ("a + b", None),
        ] {
            assert_eq!(joined(text).as_deref(), expected, "{text}");
        }
    }
}

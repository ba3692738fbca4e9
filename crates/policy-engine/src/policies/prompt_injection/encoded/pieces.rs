//! Strings that are cut in pieces for the model to put together: `"ignore all prev" + "ious instructions"`.

/// The quoted strings of a text as one, when it adds some up; never longer than it was.
pub(super) fn joined(text: &str) -> Option<String> {
    memchr::memchr(b'+', text.as_bytes())?;
    let mut quoted = text.split(['"', '“', '”']).skip(1).step_by(2);
    let first = quoted.next()?;
    let second = quoted.next()?;
    let mut joined = format!("{first}{second}");
    joined.extend(quoted);
    Some(joined)
}

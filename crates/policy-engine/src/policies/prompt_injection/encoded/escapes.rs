//! Escapes of URLs (`%69`) and of HTML (`&#105;`, `&#x69;`, `&lt;`).

/// A text has so many, or is read as it stands.
const MIN_ESCAPES: usize = 2;
/// `&#x10ffff;` is the longest that says anything.
const LONGEST_ENTITY: usize = 10;

const NAMED: &[(&str, char)] =
    &[("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"'), ("apos", '\''), ("nbsp", ' ')];

/// The text without its escapes, if it has some; never longer than it was.
pub(super) fn undone(text: &str) -> Option<String> {
    let is_escape = |at: &usize| {
        let escape = text.get(*at..).unwrap_or_default();
        percent(escape).is_some() || entity(escape).is_some()
    };
    memchr::memchr2_iter(b'%', b'&', text.as_bytes()).filter(is_escape).nth(MIN_ESCAPES - 1)?;
    let mut plain: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['%', '&']) {
        let (before, escape) = rest.split_at_checked(at)?;
        plain.extend_from_slice(before.as_bytes());
        let undone = percent(escape).or_else(|| entity(escape));
        rest = match undone {
            Some((bytes, behind)) => {
                plain.extend(bytes);
                behind
            }
            None => {
                plain.extend(escape.bytes().take(1));
                escape.get(1..)?
            }
        };
    }
    plain.extend_from_slice(rest.as_bytes());
    Some(String::from_utf8_lossy(&plain).into_owned())
}

fn percent(text: &str) -> Option<(Vec<u8>, &str)> {
    let digits = text.strip_prefix('%')?.get(..2)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let byte = is_number.then(|| u8::from_str_radix(digits, 16).ok())??;
    Some((vec![byte], text.get(3..)?))
}

fn entity(text: &str) -> Option<(Vec<u8>, &str)> {
    let name = text.strip_prefix('&')?;
    let end = name.bytes().take(LONGEST_ENTITY).position(|byte| byte == b';')?;
    let (name, behind) = (name.get(..end)?, name.get(end + 1..)?);
    let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    let character = match name.strip_prefix('#') {
        Some(digits) => match digits.strip_prefix(['x', 'X']) {
            Some(digits) => number(digits, 16)?,
            None => number(digits, 10)?,
        },
        None => NAMED.iter().find(|(named, _)| *named == name)?.1,
    };
    Some((character.encode_utf8(&mut [0; 4]).as_bytes().to_vec(), behind))
}

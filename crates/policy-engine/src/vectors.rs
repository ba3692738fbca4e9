//! Answers of `embeddings`: lists of numbers by the hundred thousand, which hold no words and are not read as JSON.

/// The body with every list of numbers emptied.
pub(crate) fn without(body: &[u8]) -> Vec<u8> {
    let mut left = Vec::with_capacity(body.len().min(64 * 1024));
    walk(body, &mut |part| match part {
        Part::Other(bytes) => left.extend_from_slice(bytes),
        Part::Numbers(_) => {}
    });
    left
}

/// A body that was emptied and then changed, with the lists of numbers of the original back in their places. `None`:
/// it has not as many.
pub(crate) fn filled(emptied: &[u8], original: &[u8]) -> Option<Vec<u8>> {
    let mut lists = Vec::new();
    walk(original, &mut |part| {
        if let Part::Numbers(numbers) = part {
            lists.push(numbers);
        }
    });
    let mut lists = lists.into_iter();
    let mut left = Vec::with_capacity(original.len() + emptied.len());
    let mut is_whole = true;
    walk(emptied, &mut |part| match part {
        Part::Other(bytes) => left.extend_from_slice(bytes),
        Part::Numbers(_) => match lists.next() {
            Some(numbers) => left.extend_from_slice(numbers),
            None => is_whole = false,
        },
    });
    (is_whole && lists.next().is_none()).then_some(left)
}

enum Part<'b> {
    /// What stands in a list that has nothing in it but numbers, or nothing at all.
    Numbers(&'b [u8]),
    Other(&'b [u8]),
}

fn walk<'b>(body: &'b [u8], give: &mut impl FnMut(Part<'b>)) {
    let mut rest = body;
    let mut quoted = false;
    while let Some(at) = memchr::memchr3(b'"', b'\\', b'[', rest) {
        let escapes = usize::from(quoted && rest.get(at) == Some(&b'\\'));
        let (before, found) = rest.split_at_checked(at + 1 + escapes).unwrap_or((rest, &[]));
        give(Part::Other(before));
        rest = found;
        match before.last() {
            _ if escapes > 0 => {}
            Some(b'"') => quoted = !quoted,
            Some(b'[') if !quoted => {
                let is_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE, \t\r\n".contains(byte);
                let length = found.iter().take_while(|byte| is_number(byte)).count();
                if found.get(length) == Some(&b']') {
                    let (numbers, after) = found.split_at_checked(length).unwrap_or((found, &[]));
                    give(Part::Numbers(numbers));
                    rest = after;
                }
            }
            _ => {}
        }
    }
    give(Part::Other(rest));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_and_words_stay() {
        let body = r#"{"data":[{"embedding":[0.1, -2e-3,4],"object":"a [1,2] \" [3"},[1,"x"],[[5],[6]]],"usage":{"total_tokens":[]}}"#;
        let left = r#"{"data":[{"embedding":[],"object":"a [1,2] \" [3"},[1,"x"],[[],[]]],"usage":{"total_tokens":[]}}"#;
        assert_eq!(String::from_utf8(without(body.as_bytes())).unwrap(), left);
    }

    #[test]
    fn what_was_changed_beside_the_numbers_has_its_numbers_again() {
        let body =
            br#"{"data":[{"embedding":[0.1, -2e-3,4],"a":[ ],"b":"\\\" [1]"},[1,"x"],[[5],[]]],"n":"jane"}"#;
        assert_eq!(filled(&without(body), body).as_deref(), Some(&body[..]));
        let changed = String::from_utf8(without(body)).unwrap().replace("jane", "[] [EMAIL]");
        let left = String::from_utf8(body.to_vec()).unwrap().replace("jane", "[] [EMAIL]");
        assert_eq!(filled(changed.as_bytes(), body), Some(left.into_bytes()));
        assert_eq!(filled(b"{\"data\":[[]]}", body), None);
    }
}

//! Answers of `embeddings`: lists of numbers by the hundred thousand, which hold no words and are not read as JSON.

/// The body with every list of numbers emptied.
pub(crate) fn without(body: &[u8]) -> Vec<u8> {
    let mut left = Vec::with_capacity(body.len().min(64 * 1024));
    let mut rest = body;
    let mut quoted = false;
    while let Some(at) = memchr::memchr3(b'"', b'\\', b'[', rest) {
        let (before, found) = rest.split_at_checked(at + 1).unwrap_or((rest, &[]));
        left.extend_from_slice(before);
        rest = found;
        match before.last() {
            Some(b'"') => quoted = !quoted,
            Some(b'\\') if quoted => {
                left.extend(found.first());
                rest = found.get(1..).unwrap_or_default();
            }
            Some(b'[') if !quoted => {
                let is_number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE, \t\r\n".contains(byte);
                let numbers = found.iter().take_while(|byte| is_number(byte)).count();
                if found.get(numbers) == Some(&b']') {
                    rest = found.get(numbers..).unwrap_or_default();
                }
            }
            _ => {}
        }
    }
    left.extend_from_slice(rest);
    left
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
}

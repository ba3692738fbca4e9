//! Text that is sent as if it were media: `data:` URLs of text, JSON, XML and the like.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Providers read it with and without its padding.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// What such types have in their names.
const TEXTUAL: &[&str] =
    &["json", "xml", "csv", "yaml", "javascript", "html", "markdown", "rtf", "x-sh", "sql"];

/// The text of a `data:` URL, if its type says that it is text.
pub(super) fn text_of_url(url: &str) -> Option<String> {
    let url = url.trim();
    let scheme = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:"))?;
    let (head, data) = url.get(scheme.len()..)?.split_once(',')?;
    let mut parts = head.split(';');
    let kind = parts.next().unwrap_or_default().trim();
    if !kind.is_empty() && !is_textual(kind) {
        return None;
    }
    let data = percent_decoded(data);
    if parts.any(|part| part.trim().eq_ignore_ascii_case("base64")) {
        text_of_base64(&data)
    } else {
        lossy(data)
    }
}

/// Whether a media type is one of text.
pub(super) fn is_textual(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind.starts_with("text/") || TEXTUAL.iter().any(|name| kind.contains(name))
}

/// `None`: it is no base64.
pub(super) fn text_of_base64(data: &[u8]) -> Option<String> {
    let standard = data.iter().filter(|byte| !byte.is_ascii_whitespace()).map(|byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => *byte,
    });
    lossy(BASE64.decode(standard.collect::<Vec<u8>>()).ok()?)
}

fn lossy(bytes: Vec<u8>) -> Option<String> {
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn percent_decoded(data: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(data.len());
    let mut rest = data.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_however_it_is_sent() {
        for (url, text) in [
            ("data:text/plain;base64,YUBiLm9yZw==", Some("a@b.org")),
            ("DATA:Text/CSV;charset=utf-8;BASE64,YUBiLm9yZw", Some("a@b.org")),
            (" data:application/json;base64,YUBi\nLm9yZw%3D%3D ", Some("a@b.org")),
            ("data:image/svg+xml,%3Ca%40b.org%3E", Some("<a@b.org>")),
            ("data:,a%zz", Some("a%zz")),
            ("data:text/plain;base64,_-8", Some("\u{fffd}\u{fffd}")),
            ("data:text/plain;base64,*", None),
            ("data:image/png;base64,YUBiLm9yZw==", None),
            ("data:text/plain", None),
            ("https://example.com/a,b", None),
        ] {
            assert_eq!(text_of_url(url).as_deref(), text, "{url}");
        }
    }
}

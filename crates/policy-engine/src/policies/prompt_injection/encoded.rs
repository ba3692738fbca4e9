//! Text that hides in base64 segments.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

/// Shorter ones hold no sentence.
const MIN_SEGMENT: usize = 16;
/// Base64 in base64: this many times.
const MAX_LAYERS: usize = 3;
/// A segment is text when so many of a hundred characters are printable.
const PRINTABLE_PERCENT: usize = 90;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// What the base64 segments of a text say, where that is text; never more bytes than the text has.
pub(super) fn hidden_texts(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut layer: Vec<String> = segments(text).filter_map(decode).collect();
    for _ in 1..MAX_LAYERS {
        let below: Vec<String> = layer.iter().flat_map(|outer| segments(outer)).filter_map(decode).collect();
        found.append(&mut layer);
        layer = below;
    }
    found.append(&mut layer);
    found
}

fn segments(text: &str) -> impl Iterator<Item = &str> {
    let in_alphabet = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
    text.split(move |c| !in_alphabet(c)).filter(|segment| segment.len() >= MIN_SEGMENT)
}

fn decode(segment: &str) -> Option<String> {
    let engine = if segment.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    // a stray character in front or behind spoils the length, not the text
    let whole = segment.get(..segment.len() - usize::from(segment.len() % 4 == 1))?;
    let text = String::from_utf8(engine.decode(whole).ok()?).ok()?;
    let printable = text.chars().filter(|c| !c.is_control() || c.is_whitespace()).count();
    (printable * 100 >= text.chars().count() * PRINTABLE_PERCENT).then_some(text)
}

//! What stands in the text where personal data stood.

use std::collections::BTreeMap;

use policy_config::schema::MarkerFormat;

/// The pack's choice of markers.
#[derive(Debug)]
pub(super) struct Markers {
    format: MarkerFormat,
    custom: BTreeMap<String, String>,
}

/// With `partial`, this many characters at the end stay.
const KEPT: usize = 4;

// === impl Markers ===

impl Markers {
    pub(super) fn new(format: MarkerFormat, custom: &BTreeMap<String, String>) -> Self {
        Self { format, custom: custom.clone() }
    }

    /// A custom marker of this label wins over the format.
    pub(super) fn replace(&self, label: &str, found: &str) -> String {
        if let Some(marker) = self.custom.get(label) {
            return marker.clone();
        }
        let length = found.chars().count();
        match self.format {
            MarkerFormat::Label => format!("[{label}]"),
            MarkerFormat::Mask => "*".repeat(length),
            // of something short, four characters would give most of it away
            MarkerFormat::Partial if length <= 2 * KEPT => "*".repeat(length),
            MarkerFormat::Partial => {
                let hidden = length - KEPT;
                "*".repeat(hidden).chars().chain(found.chars().skip(hidden)).collect()
            }
        }
    }
}

//! `kt config …`, and how a stored revision is named.

pub(crate) mod diff;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod push;
pub(crate) mod show;

use fleet_core::version::Revision;
use policy_config::schema::PackName;

use crate::failure::Failure;

/// `NAME` or `NAME@REVISION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RevisionRef {
    pub(crate) config: PackName,
    /// `None`: the newest.
    pub(crate) revision: Option<Revision>,
}

// === impl RevisionRef ===

impl RevisionRef {
    /// Reads what was typed in `field`.
    pub(crate) fn parse(field: &str, text: &str) -> Result<Self, Failure> {
        let bad = |why: &str| {
            Failure::usage(field, format!("`{text}` is no revision: {why}"))
                .with_hint("write it as local-dev@3")
        };
        let (name, revision) = match text.split_once('@') {
            Some((name, number)) => {
                let number = number.parse::<u64>().ok().filter(|number| *number > 0);
                (name, Some(Revision(number.ok_or_else(|| bad("revisions are numbered from 1"))?)))
            }
            None => (text, None),
        };
        let config = name
            .parse()
            .map_err(|error: policy_config::schema::pack::InvalidPackName| bad(&error.to_string()))?;
        Ok(Self { config, revision })
    }

    /// The number on the wire: 0 is the newest.
    pub(crate) fn wire_revision(&self) -> u64 {
        self.revision.map_or(0, |revision| revision.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_read_as_typed() {
        let read =
            |text| RevisionRef::parse("NAME", text).ok().map(|r| (r.config.to_string(), r.wire_revision()));
        assert_eq!(read("local-dev"), Some(("local-dev".to_owned(), 0)));
        assert_eq!(read("local-dev@3"), Some(("local-dev".to_owned(), 3)));
        for bad in ["", "@3", "a@", "a@0", "a@-1", "a@x", "a@1@2", "../x", "a@18446744073709551616"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}

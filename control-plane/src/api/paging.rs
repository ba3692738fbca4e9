//! Page tokens: where a listing goes on, bound to the listing they came from. Opaque to callers, not secret.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proto::WireError;

const DEFAULT_PAGE: u32 = 100;
const MAX_PAGE: u32 = 500;
const MAX_TOKEN: usize = 1024;
const SEPARATOR: char = '\u{1f}';

/// A listing with its filter, such as `gateways` of fleet `prod`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing<'a> {
    pub(crate) name: &'static str,
    pub(crate) filter: &'a str,
}

/// How many rows a page has: 1-500, 0 = 100.
pub(crate) fn page_size(asked: u32) -> Result<u32, WireError> {
    match asked {
        0 => Ok(DEFAULT_PAGE),
        1..=MAX_PAGE => Ok(asked),
        _ => Err(WireError::new("page_size", format!("is at most {MAX_PAGE}"))),
    }
}

// === impl Listing ===

impl Listing<'_> {
    /// The key after which the page begins; `None` for the first page.
    pub(crate) fn after<K: FromStr>(&self, token: &str) -> Result<Option<K>, WireError> {
        if token.is_empty() {
            return Ok(None);
        }
        self.open(token).map(Some).ok_or_else(|| {
            WireError::new("page_token", "is the next_page_token of the same listing, passed on unchanged")
        })
    }

    /// The token of the next page; empty when this was the last.
    pub(crate) fn token<K: ToString>(&self, next: Option<K>) -> String {
        let Some(key) = next else { return String::new() };
        URL_SAFE_NO_PAD.encode(format!(
            "{}{SEPARATOR}{}{SEPARATOR}{}",
            self.name,
            self.filter,
            key.to_string()
        ))
    }

    fn open<K: FromStr>(&self, token: &str) -> Option<K> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let (name, rest) = text.split_once(SEPARATOR)?;
        let (filter, key) = rest.split_once(SEPARATOR)?;
        if name == self.name && filter == self.filter { key.parse().ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_only_the_listing_it_came_from() {
        let listing = Listing { name: "gateways", filter: "prod" };
        let token = listing.token(Some(7));
        assert_eq!(listing.after(&token), Ok(Some(7)));
        assert_eq!(listing.after::<u64>(""), Ok(None));
        assert_eq!(listing.token(None::<u64>), "");
        for other in [Listing { filter: "test", ..listing }, Listing { name: "rollouts", ..listing }] {
            assert_eq!(other.after::<u64>(&token).map_err(|error| error.field), Err("page_token"));
        }
        for bad in ["%", "AAAA", &"A".repeat(5000), &listing.token(Some("seven"))] {
            assert!(listing.after::<u64>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn page_sizes_are_bounded() {
        assert_eq!([page_size(0), page_size(1), page_size(500)], [Ok(100), Ok(1), Ok(500)]);
        assert_eq!(page_size(501).map_err(|error| error.field), Err("page_size"));
    }
}

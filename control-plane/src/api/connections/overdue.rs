//! When a connection has had its time. Pure: the time is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// What is known of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub(super) opened: Instant,
    /// The beginning of HTTP/2 has come.
    pub(super) heard: bool,
    /// A call with a valid credential has come.
    pub(super) admitted: bool,
    /// Since when no call is under way; `None`: one is.
    pub(super) quiet: Option<Instant>,
    /// Since when the oldest answer waits to be read.
    pub(super) unread: Option<Instant>,
}

/// How long each is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) handshake: Duration,
    pub(crate) stranger: Duration,
    pub(crate) idle: Duration,
    pub(crate) unread: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    Handshake,
    Stranger,
    Idle,
    Unread,
}

// === impl Overdue ===

impl Overdue {
    /// The label of the metric.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Stranger => "stranger",
            Self::Idle => "idle",
            Self::Unread => "unread",
        }
    }
}

/// Why the connection has had its time; `None`: it has not.
pub(super) fn overdue(facts: Facts, patience: Patience, now: Instant) -> Option<Overdue> {
    let since = |at: Instant| now.saturating_duration_since(at);
    if !facts.heard && since(facts.opened) >= patience.handshake {
        Some(Overdue::Handshake)
    } else if !facts.admitted && since(facts.opened) >= patience.stranger {
        Some(Overdue::Stranger)
    } else if facts.admitted && facts.quiet.is_some_and(|at| since(at) >= patience.idle) {
        Some(Overdue::Idle)
    } else if facts.unread.is_some_and(|at| since(at) >= patience.unread) {
        Some(Overdue::Unread)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_has_its_time() {
        let opened = Instant::now();
        let patience = Patience {
            handshake: Duration::from_secs(5),
            stranger: Duration::from_secs(30),
            idle: Duration::from_secs(300),
            unread: Duration::from_secs(60),
        };
        let unread = Some(opened + Duration::from_secs(100));
        let at_first = Some(opened);
        let later = Some(opened + Duration::from_secs(1_000));
        // (heard, admitted, quiet, unread, seconds, expected)
        let table = [
            (false, false, at_first, None, 4, None),
            (false, false, at_first, None, 5, Some(Overdue::Handshake)),
            (true, false, at_first, None, 5, None),
            (true, false, at_first, None, 30, Some(Overdue::Stranger)),
            (true, true, None, None, 1_000_000, None),
            (true, true, later, None, 1_299, None),
            (true, true, later, None, 1_300, Some(Overdue::Idle)),
            (true, true, None, unread, 159, None),
            (true, true, None, unread, 160, Some(Overdue::Unread)),
        ];
        for (heard, admitted, quiet, unread, seconds, expected) in table {
            let facts = Facts { opened, heard, admitted, quiet, unread };
            let now = opened + Duration::from_secs(seconds);
            assert_eq!(
                overdue(facts, patience, now),
                expected,
                "{heard} {admitted} {quiet:?} {unread:?} {seconds}"
            );
        }
    }
}

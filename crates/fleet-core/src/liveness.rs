//! Is a gateway there? From when it was last heard of, and nothing else.

use std::time::Duration;

use crate::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    Online,
    Stale,
    Offline,
}

/// A heartbeat younger than this: online.
pub const ONLINE_FOR: Duration = Duration::from_secs(15);
/// A heartbeat younger than this: stale; older: offline.
pub const STALE_FOR: Duration = Duration::from_secs(60);

/// `last_seen` is the newest heartbeat; `None`: never, or the stream was seen to end.
pub fn liveness(last_seen: Option<Timestamp>, stream_lives: bool, now: Timestamp) -> Liveness {
    let Some(last_seen) = last_seen else { return Liveness::Offline };
    let silence = now.since(last_seen);
    if stream_lives && silence < ONLINE_FOR {
        Liveness::Online
    } else if silence < STALE_FOR {
        Liveness::Stale
    } else {
        Liveness::Offline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_silence() {
        let seen = Timestamp::from_micros(1_000_000_000);
        let after = |seconds| seen.plus(Duration::from_secs(seconds));
        assert_eq!(liveness(Some(seen), true, after(14)), Liveness::Online);
        assert_eq!(liveness(Some(seen), false, after(1)), Liveness::Stale);
        assert_eq!(liveness(Some(seen), true, after(15)), Liveness::Stale);
        assert_eq!(liveness(Some(seen), true, after(60)), Liveness::Offline);
        assert_eq!(liveness(None, true, after(0)), Liveness::Offline);
        // The database's clock may be behind the one that saw the heartbeat.
        assert_eq!(liveness(Some(after(5)), true, seen), Liveness::Online);
    }
}

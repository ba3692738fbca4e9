//! How a stream ended, and whether its control plane is there and no use to us: then it is called again after long
//! waits, or else after short ones.

use std::time::Duration;

use proto::convert::scalars;
use proto::v1;
use tokio::time::Instant;
use tonic::{Code, Status};

/// How a stream ended.
#[derive(Debug)]
pub(in crate::control) enum Ended {
    Draining,
    SentAway {
        retry_after: Duration,
        reason: String,
    },
    /// What the hello said of a pin is not so any more.
    Repinned,
    Unauthenticated(String),
    /// `refused`: the control plane is there, and said no, or what makes no sense.
    Lost {
        problem: String,
        refused: bool,
        welcomed_at: Option<Instant>,
    },
}

/// The status with which a stream ended.
pub(super) fn ended_by(status: &Status, welcomed_at: Option<Instant>) -> Ended {
    match status.code() {
        Code::Unauthenticated => Ended::Unauthenticated(status.message().to_owned()),
        code => {
            let problem = format!("{code:?}: {}", status.message());
            Ended::Lost { problem, refused: is_refusal(code), welcomed_at }
        }
    }
}

/// A connection that breaks is `Unknown`, `Unavailable` or `Cancelled`; what has no place in the protocol is
/// `Internal`, and a message that is too large `OutOfRange`.
const fn is_refusal(code: Code) -> bool {
    match code {
        Code::ResourceExhausted
        | Code::Aborted
        | Code::PermissionDenied
        | Code::InvalidArgument
        | Code::NotFound
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Unauthenticated
        | Code::OutOfRange
        | Code::Internal => true,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::AlreadyExists
        | Code::Unavailable
        | Code::DataLoss => false,
    }
}

pub(super) fn sent_away(reconnect: v1::Reconnect) -> Ended {
    let retry_after = reconnect
        .retry_after
        .and_then(|after| scalars::duration("reconnect.retry_after", after).ok())
        .unwrap_or_default();
    Ended::SentAway { retry_after, reason: reconnect.reason }
}

/// Nobody is there any more, or nobody who answers.
pub(super) fn lost(problem: &str, welcomed_at: Option<Instant>) -> Ended {
    Ended::Lost { problem: problem.to_owned(), refused: false, welcomed_at }
}

/// Somebody is there, and says what no control plane says.
pub(super) fn refused(problem: &str, welcomed_at: Option<Instant>) -> Ended {
    Ended::Lost { problem: problem.to_owned(), refused: true, welcomed_at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(ended: Ended) -> bool {
        match ended {
            Ended::Lost { refused, .. } => refused,
            other => panic!("expected a loss, not {other:?}"),
        }
    }

    #[test]
    fn who_makes_no_sense_is_left_alone_for_long_and_who_is_gone_for_a_short_while() {
        // (said, refused)
        let table = [
            // A message that is too large, and one that cannot be read, as the transport tells them.
            (Status::out_of_range("decoded message length too large"), true),
            (Status::internal("failed to decode Protobuf message"), true),
            (Status::resource_exhausted("too_fast"), true),
            (Status::unimplemented("unknown_method"), true),
            // A connection that breaks, one that does not answer pings, a stream that is cut.
            (Status::from_error(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()), false),
            (Status::unknown("h2 protocol error: error reading a body from connection"), false),
            (Status::unavailable("keep-alive timed out"), false),
            (Status::cancelled("stream closed"), false),
        ];
        for (status, expected) in table {
            assert_eq!(is_refused(ended_by(&status, None)), expected, "{status:?}");
        }
        assert!(is_refused(refused("the welcome is not valid", None)));
        assert!(!is_refused(lost("the control plane closed the stream", None)));
    }
}

//! What can be wrong with a call itself, before and beside any operation.

use std::time::Duration;

use proto::WireError;

/// What was asked of a database that is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// An order that did not reach it.
    NotBegun,
    /// An order that was under way when it went.
    Begun,
    /// A read whose answer this control plane does not have.
    NeverAsked,
    /// A credential that this control plane has not seen.
    Credential,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the call carries no credential")]
    NoCredential,
    #[error("the call carries a credential that is not valid here")]
    WrongCredential,
    #[error("the `authorization` of the call is not one `Bearer` token")]
    UnreadableCredential,
    #[error("{method} is not for {caller}")]
    NotAllowed { method: &'static str, caller: &'static str },
    #[error("the authority of the call is not a loopback name")]
    ForeignAuthority,
    #[error("there is no such method")]
    UnknownMethod,
    #[error("the answer took longer than {0:?}")]
    TooSlow(Duration),
    #[error("the message is larger than this method takes")]
    TooLarge,
    #[error("the message is compressed")]
    Compressed,
    #[error("the message cannot be read: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Field(#[from] WireError),
    #[error("the database has been away since {since}")]
    DatabaseAway { since: String, what: Unanswered },
    #[error("the control plane is shutting down")]
    Draining,
    #[error("no Hello came within {0:?}")]
    NoHello(Duration),
    #[error("the first message of a stream is a Hello")]
    FirstNotHello,
    #[error("a stream has one Hello, and it came already")]
    SecondHello,
    #[error("a newer stream of this gateway has taken over")]
    NewerSession,
    #[error("the stream was not read for {0:?}")]
    SlowReader(Duration),
    #[error("nothing was heard on the stream for {0:?}")]
    SilentPeer(Duration),
    #[error("this control plane serves as many streams as it can")]
    TooManyStreams,
    #[error("{0} calls of this caller are under way, and there are no more at a time")]
    TooManyCalls(u32),
    #[error("{0} streams of operators are open, and there are no more at a time")]
    TooManyWatches(u32),
    #[error("this caller begins calls faster than they are taken")]
    TooFast(Duration),
    #[error("too many credentials from this address were not valid")]
    TooManyFailures(Duration),
    #[error("this stream says more than is listened to")]
    TooManyMessages,
    #[error("no turn came within {0:?}: too much is worked on")]
    Busy(Duration),
    #[error("this stream has been open for long enough; a new one may go to another replica")]
    Aged,
}

//! For ever: dial, enrol if need be, exchange, and wait before the next try as long as the end of the
//! last one asks for. The gateway serves on meanwhile.

use std::time::Duration;

use fleet_core::gateway::Labels;
use service_kit::backoff::Backoff;
use service_kit::clock::Clock;
use service_kit::drain::DrainWatcher;
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};

use super::exchange::{self, Ended};
use super::identity::{EnrollError, Identity, IdentityError, IdentityStore};
use crate::activation::handle::ActivatorHandle;
use crate::settings::ControlPlaneSource;

/// The link of one gateway.
pub struct Link {
    source: ControlPlaneSource,
    store: IdentityStore,
    labels: Labels,
    activator: ActivatorHandle,
    clock: Clock,
    drain: DrainWatcher,
    /// Whether a stream is welcomed.
    connected: watch::Sender<bool>,
    identity: Option<Identity>,
    /// The control plane did not know the credential; enrol anew if that can be done.
    rejected: bool,
    /// Of this process; with the boot id it fences older streams.
    session_counter: u64,
    /// Between tries to reach a control plane that is away.
    away: Backoff,
    /// Between tries that a control plane refuses.
    refused: Backoff,
    /// What went wrong last; told once, and again only when it is something else.
    told: Option<String>,
}

/// A refusal that ends a gateway which has nothing to serve and never belonged to this fleet.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct NotTakenIn {
    pub reason: EnrollError,
    pub exit_code: u8,
}

/// How one try ended.
enum Try {
    Unreachable(String),
    NoIdentity(IdentityError),
    NotEnrolled(EnrollError),
    Exchanged(Ended),
}

const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Short, because the fleet is to be whole within seconds of the control plane's return; a port that nobody answers on
/// costs next to nothing to ask.
const LONGEST_AWAY: Duration = Duration::from_secs(3);
/// A refusal costs the control plane a look, and stays until somebody does something.
const LONGEST_REFUSED: Duration = Duration::from_secs(30);
/// A stream that lived this long starts the waits from the shortest again.
const STABLE: Duration = Duration::from_secs(30);
/// A control plane that goes may send us away for at most this long.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that vanished without a word is found out in the sum of the two.
const KEEPALIVE: Duration = Duration::from_secs(8);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(4);
/// A parcel fits whole, with room, so that no offer waits for a window update.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

// === impl Link ===

impl Link {
    pub fn new(
        source: ControlPlaneSource,
        store: IdentityStore,
        labels: Labels,
        activator: ActivatorHandle,
        clock: Clock,
        drain: DrainWatcher,
        connected: watch::Sender<bool>,
    ) -> Self {
        Self {
            source,
            store,
            labels,
            activator,
            clock,
            drain,
            connected,
            identity: None,
            rejected: false,
            session_counter: 0,
            away: Backoff::full_jitter(FIRST_WAIT, LONGEST_AWAY, fastrand::u64(..)),
            refused: Backoff::full_jitter(FIRST_WAIT, LONGEST_REFUSED, fastrand::u64(..)),
            told: None,
        }
    }

    /// Until the drain begins.
    ///
    /// # Errors
    /// The first enrolment was refused for good, and there is no pack to serve.
    pub async fn run(mut self) -> Result<(), NotTakenIn> {
        let drain = self.drain.clone();
        loop {
            let tried = self.try_once().await;
            let Some(wait) = self.judge(tried)? else { return Ok(()) };
            tokio::select! {
                () = drain.signaled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn try_once(&mut self) -> Try {
        let drain = self.drain.clone();
        let (channel, identity) = tokio::select! {
            () = drain.signaled() => return Try::Exchanged(Ended::Draining),
            ready = self.make_ready() => match ready {
                Ok(ready) => ready,
                Err(tried) => return tried,
            },
        };
        self.session_counter += 1;
        let hello = exchange::Opening {
            identity: &identity,
            labels: &self.labels,
            session_counter: self.session_counter,
            activator: &self.activator,
            clock: &self.clock,
            drain: &self.drain,
            connected: &self.connected,
        };
        let ended = exchange::run(channel, hello).await;
        self.connected.send_replace(false);
        Try::Exchanged(ended)
    }

    async fn make_ready(&mut self) -> Result<(Channel, Identity), Try> {
        let channel = dial(self.source.url.as_str()).await.map_err(Try::Unreachable)?;
        let identity = self.identify(channel.clone()).await?;
        Ok((channel, identity))
    }

    /// The identity to attach with: held, on disk, or by enrolment.
    async fn identify(&mut self, channel: Channel) -> Result<Identity, Try> {
        if self.identity.is_none() {
            self.identity = self.store.load().map_err(Try::NoIdentity)?;
        }
        if let Some(identity) = &self.identity
            && !self.rejected
        {
            return Ok(identity.clone());
        }
        // If this fails, the next try asks with the old credential again: its refusal may have been an accident.
        self.rejected = false;
        let enrolled = self.store.enroll(channel, &self.source.operator_token, &self.labels).await;
        let identity = enrolled.map_err(Try::NotEnrolled)?;
        self.identity = Some(identity.clone());
        Ok(identity)
    }

    /// How long to wait before the next try; `None`: there is none.
    fn judge(&mut self, tried: Try) -> Result<Option<Duration>, NotTakenIn> {
        let (problem, backoff) = match tried {
            Try::Unreachable(problem) => {
                (format!("the control plane cannot be reached: {problem}"), &mut self.away)
            }
            Try::NoIdentity(error) => (error.to_string(), &mut self.refused),
            Try::NotEnrolled(reason) => {
                let nothing_to_lose = self.identity.is_none() && self.activator.record().active.is_none();
                if let Some(exit_code) = reason.final_exit_code().filter(|_| nothing_to_lose) {
                    return Err(NotTakenIn { reason, exit_code });
                }
                let waits =
                    if reason.is_for_want_of_an_answer() { &mut self.away } else { &mut self.refused };
                (reason.to_string(), waits)
            }
            Try::Exchanged(Ended::Draining) => return Ok(None),
            Try::Exchanged(Ended::SentAway { retry_after, reason }) => {
                tracing::info!(
                    retry_after_ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX),
                    reason,
                    "the control plane asked to reconnect"
                );
                self.told = None;
                return Ok(Some(away_for(retry_after, fastrand::f64())));
            }
            Try::Exchanged(Ended::Repinned) => {
                tracing::info!("saying hello anew, because of the pin");
                self.told = None;
                return Ok(Some(FIRST_WAIT));
            }
            Try::Exchanged(Ended::Unauthenticated(message)) => {
                self.rejected = true;
                let problem =
                    format!("the control plane does not accept this gateway's credential: {message}");
                (problem, &mut self.refused)
            }
            Try::Exchanged(Ended::Lost { problem, refused, welcomed_at }) => {
                if let Some(welcomed_at) = welcomed_at {
                    self.told = None;
                    if welcomed_at.elapsed() >= STABLE {
                        self.away.reset();
                        self.refused.reset();
                    }
                }
                (problem, if refused { &mut self.refused } else { &mut self.away })
            }
        };
        let wait = backoff.next().unwrap_or(LONGEST_REFUSED);
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        if self.told.as_ref() == Some(&problem) {
            tracing::debug!(wait_ms, "link still down: {problem}");
        } else {
            tracing::warn!(wait_ms, "link down, trying again: {problem}");
            self.told = Some(problem);
        }
        Ok(Some(wait))
    }
}

/// Never at once: a control plane that sends everybody away would be called in a tight loop. Nor for as long as it
/// likes. `chance` is in 0..1.
fn away_for(retry_after: Duration, chance: f64) -> Duration {
    retry_after.min(LONGEST_RETRY_AFTER) + FIRST_WAIT.mul_f64(1.0 + chance)
}

async fn dial(url: &str) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|error| error.to_string())?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    endpoint.connect().await.map_err(|error| innermost(&error))
}

/// The outer layers of a transport error only say that there is an inner one.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_away_for_no_time_or_for_ever() {
        let seconds = Duration::from_secs;
        // (asked, least, most)
        let table = [
            (Duration::ZERO, FIRST_WAIT, FIRST_WAIT * 2),
            (seconds(3), seconds(3), seconds(4)),
            (seconds(1_000_000_000), LONGEST_RETRY_AFTER, LONGEST_RETRY_AFTER + FIRST_WAIT * 2),
            (Duration::MAX, LONGEST_RETRY_AFTER, LONGEST_RETRY_AFTER + FIRST_WAIT * 2),
        ];
        for (asked, least, most) in table {
            for chance in [0.0, 0.999] {
                let away = away_for(asked, chance);
                assert!((least..=most).contains(&away), "{asked:?}: {away:?}");
            }
        }
    }
}

//! The one task that owns a supervised gateway: what it is told and what happens to the process, one after the other.

mod launch;
mod replace;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use instance::documents::{Source, Status};
use instance::lock::Lock;
use instance::{Action, Description, HistoryRecord, Outcome, Place, durable};
use nix::sys::signal::Signal;
use service_kit::clock::Clock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::course::{Course, Ended, Next};
use super::door::{Asked, Order};
use super::gateway::Gateway;
use super::listener::Listener;
use super::log::LogFiles;
use super::protocol::{Answer, Ask};
use super::supervision::{State, Supervision};
use super::{readiness, supervised_pid};
use crate::failure::{Exit, Failure};
use crate::instances::{door, record};
use launch::{Launch, NotLaunched};

/// Whoever started the supervisor asks for a gateway at once; it may have been killed before it could.
const FIRST_ASK: Duration = Duration::from_secs(10);
/// A start that nobody waits for is told as failed after this, and goes on.
const RESTART_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks whether the directory is still its own.
const LOOK_AT_PLACE: Duration = Duration::from_secs(2);
/// For the word of a gateway that serves.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

type Leaving = Pin<Box<dyn Future<Output = bool> + Send>>;

/// See the module.
#[derive(Debug)]
pub(super) struct Owner {
    place: Place,
    /// Of the place, for as long as it is this supervisor's.
    lock: Lock,
    /// As it was read last.
    known: Option<Description>,
    program: PathBuf,
    orders: mpsc::Receiver<Order>,
    /// Heard while a gateway was being started.
    later: VecDeque<Order>,
    log: LogFiles,
    listener: Option<Listener>,
    serving: Option<Gateway>,
    /// They finish their requests; each ends, by force at last.
    leaving: FuturesUnordered<Leaving>,
    /// Tells those who made way that somebody waits for their end now.
    hurry: watch::Sender<bool>,
    course: Course,
    again: Option<Again>,
    /// What the door tells whoever asks how it stands.
    standing: watch::Sender<Supervision>,
    /// `supervised.pid` is of this supervisor, and not left by one that was killed.
    has_noted: bool,
}

/// A start to come.
#[derive(Debug)]
struct Again {
    at: Instant,
    is_told: bool,
    /// What became of the one before.
    why: String,
}

/// Why a gateway is started, for the history.
struct Cause {
    action: Action,
    actor: String,
    reason: Option<String>,
    /// Failed starts of a row are told once.
    is_told: bool,
}

enum Happened {
    Told(Order),
    Ended(Ended),
    StartAgain,
    LookAtPlace,
    Nothing,
}

/// What a gateway says of itself.
struct Heard {
    status: Status,
    /// It says nothing, and this is what its disk says.
    is_silent: bool,
}

/// Whether the supervisor goes on.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    End,
}

// === impl Owner ===

impl Owner {
    pub(super) fn new(
        place: Place,
        lock: Lock,
        program: PathBuf,
        orders: mpsc::Receiver<Order>,
        standing: watch::Sender<Supervision>,
    ) -> Self {
        Self {
            log: LogFiles::of(&place),
            place,
            lock,
            known: None,
            program,
            orders,
            later: VecDeque::new(),
            listener: None,
            serving: None,
            leaving: FuturesUnordered::new(),
            hurry: watch::Sender::new(false),
            course: Course::default(),
            again: None,
            standing,
            has_noted: false,
        }
    }

    /// Runs until it was told to stop, nothing came of the first start, or its directory is another's. Answers the lock.
    pub(super) async fn run(mut self) -> Lock {
        let Ok(Some(first)) = timeout(FIRST_ASK, self.orders.recv()).await else { return self.lock };
        self.later.push_back(first);
        let mut looks = interval(LOOK_AT_PLACE);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let happened = match self.later.pop_front() {
                Some(order) => Happened::Told(order),
                None => {
                    let again = self.again.as_ref().map(|again| again.at);
                    tokio::select! {
                        biased;
                        Some(order) = self.orders.recv() => Happened::Told(order),
                        ended = ended(&mut self.serving) => Happened::Ended(ended),
                        () = at(again) => Happened::StartAgain,
                        Some(_) = self.leaving.next() => Happened::Nothing,
                        _ = looks.tick() => Happened::LookAtPlace,
                    }
                }
            };
            let then = match happened {
                Happened::Told(Order::Asked(asked)) => self.asked(asked).await,
                Happened::Told(Order::Hangup) => {
                    if let Some(gateway) = &self.serving {
                        gateway.signal(Signal::SIGHUP);
                    }
                    Then::GoOn
                }
                Happened::Ended(ended) => {
                    self.ended(ended.to_string());
                    Then::GoOn
                }
                Happened::StartAgain => self.start_again().await,
                Happened::LookAtPlace => self.look_at_place(),
                Happened::Nothing => Then::GoOn,
            };
            if then == Then::End {
                break;
            }
        }
        while self.leaving.next().await.is_some() {}
        if self.has_noted && self.is_at_home() {
            let _ = std::fs::remove_file(supervised_pid(&self.place));
        }
        self.lock
    }

    async fn asked(&mut self, asked: Asked) -> Then {
        let Asked { ask, actor, answer } = asked;
        let (said, then) = match ask {
            Ask::Start { limit_ms } => {
                // Its end is heard after this otherwise, and what has ended is not running already.
                if let Some(ended) = self.serving.as_mut().and_then(Gateway::has_ended) {
                    self.ended(ended.to_string());
                }
                match self.status().await {
                    Some(heard) => (serves(heard, true, None, None), Then::GoOn),
                    None => self.start(Action::Start, actor, Duration::from_millis(limit_ms)).await,
                }
            }
            Ask::Restart { program, limit_ms } => {
                let limit = Duration::from_millis(limit_ms);
                if self.serving.is_some() {
                    (self.replace(program, actor, limit).await, Then::GoOn)
                } else {
                    self.program = program;
                    self.start(Action::Restart, actor, limit).await
                }
            }
            Ask::Stop => (self.stop(actor).await, Then::End),
            // The door answers it.
            Ask::Status => (Answer::Supervises(self.standing.borrow().clone()), Then::GoOn),
        };
        tell(answer, said);
        then
    }

    /// Of a gateway that serves. One that runs and does not say it is about to end, or too busy to be waited for.
    async fn status(&self) -> Option<Heard> {
        let pid = self.serving.as_ref()?.pid;
        let told = timeout(LOOK_LIMIT, door::status(&self.place)).await;
        Some(match told {
            Ok(Ok(status)) => Heard::of(status),
            Ok(Err(_)) | Err(_) => Heard { status: launch::unheard(&self.place, pid), is_silent: true },
        })
    }

    /// Because somebody wants it, who waits for it.
    async fn start(&mut self, action: Action, actor: String, limit: Duration) -> (Answer, Then) {
        // A gateway that was started once is looked after whatever becomes of this start.
        let is_first = self.again.take().is_none() && self.listener.is_none();
        self.course.anew();
        self.standing.send_modify(|standing| standing.go(State::Starting, None));
        let cause = Cause { action, actor, reason: None, is_told: true };
        match self.launch(&cause, limit, Launch { may_stay: false }).await {
            Ok((status, warning)) => (serves(Heard::of(status), false, None, warning), Then::GoOn),
            Err(NotLaunched { failure, .. }) if is_first => {
                self.log.say(&format!("it was not started, and is left at that: {}", failure.message()));
                (Answer::of(&failure), Then::End)
            }
            Err(NotLaunched { failure, .. }) => {
                self.ended(failure.message().to_owned());
                (Answer::of(&failure), Then::GoOn)
            }
        }
    }

    /// It ended or did not come, and nobody told it to.
    fn ended(&mut self, why: String) {
        let ran = self.serving.take().map_or(Duration::ZERO, |gateway| gateway.ran());
        let Next { after, is_told } = self.course.next(ran);
        let when = if after.is_zero() { "at once".to_owned() } else { format!("in {after:?}") };
        self.log.say(&format!("{why}; the gateway is started again {when}"));
        let at = Clock::system().now() + after;
        self.standing.send_modify(|standing| standing.again(&why, at));
        self.again = Some(Again { at: Instant::now() + after, is_told, why });
    }

    async fn start_again(&mut self) -> Then {
        let Some(again) = self.again.take() else { return Then::GoOn };
        if self.look_at_place() == Then::End {
            return Then::End;
        }
        self.standing.send_modify(Supervision::try_now);
        let cause = Cause {
            action: Action::Start,
            actor: record::SUPERVISOR.to_owned(),
            reason: Some(again.why),
            is_told: again.is_told,
        };
        match self.launch(&cause, RESTART_LIMIT, Launch { may_stay: true }).await {
            Ok(_) => {}
            // The stop is heard next.
            Err(_) if self.is_told_to_stop() => {}
            // One that was killed said nothing of its end, and what it said last is not the reason of it.
            Err(NotLaunched { ended: Some(ended @ Ended::Signal(_)), .. }) => self.ended(ended.to_string()),
            Err(NotLaunched { failure, .. }) => self.ended(failure.message().to_owned()),
        }
        Then::GoOn
    }

    /// A directory that was removed, or made anew by somebody else, leaves nobody who could tell this supervisor to
    /// stop: it does so by itself. So it does for what is not installed any more.
    fn look_at_place(&mut self) -> Then {
        let is_installed = || match Description::read(&self.place) {
            Ok(Some(found)) => found.installed.is_some(),
            // A spoiled one says nothing, and is written anew.
            Ok(None) | Err(_) => true,
        };
        if self.is_at_home() && is_installed() {
            return Then::GoOn;
        }
        self.again = None;
        self.listener = None;
        self.hurry.send_replace(true);
        if let Some(gateway) = self.serving.take() {
            self.leaving.push(Box::pin(gateway.leave()));
        }
        Then::End
    }

    fn is_at_home(&self) -> bool {
        self.lock.is_at(&self.place.supervisor_lock())
    }

    async fn stop(&mut self, actor: String) -> Answer {
        let began = Instant::now();
        let before = self.status().await.map(|heard| heard.status);
        self.again = None;
        // Whoever comes from now on is refused at once: nobody would serve them.
        self.listener = None;
        self.hurry.send_replace(true);
        let pid = self.serving.as_ref().map(|gateway| gateway.pid);
        self.standing.send_modify(|standing| standing.go(State::Stopping, pid));
        if let Some(gateway) = self.serving.take() {
            self.leaving.push(Box::pin(gateway.leave()));
        }
        let mut killed = false;
        while let Some(by_force) = self.leaving.next().await {
            killed |= by_force;
        }
        let mut record = record::record(Action::Stop, Outcome::Succeeded, actor, began.elapsed());
        record.from = before.and_then(|status| status.observed);
        record.reason = killed.then(|| "it did not end in order and was killed".to_owned());
        Answer::Stopped { killed, warning: self.keep(record) }
    }

    fn keep(&self, record: HistoryRecord) -> Option<String> {
        record::keep(&self.place, &record).err().inspect(|warning| self.log.say(warning))
    }

    /// For whoever asks, and whoever finds the gateway, or two of them, without their supervisor.
    fn note_pids(&mut self, newcomer: Option<u32>) {
        let pid = self.serving.as_ref().map(|gateway| gateway.pid);
        self.standing.send_modify(|standing| standing.go(State::Running, pid));
        let pids = pid.into_iter().chain(newcomer);
        let text = pids.map(|pid| pid.to_string()).collect::<Vec<_>>().join("\n");
        // On a full disk a gateway that lost its supervisor is taken for one in a foreground.
        let _ = durable::write(&supervised_pid(&self.place), text.as_bytes());
        self.has_noted = true;
    }
}

// === impl Heard ===

impl Heard {
    fn of(status: Status) -> Self {
        Self { status, is_silent: false }
    }
}

/// What it runs, in the record of the start that made it run.
fn told_of(record: HistoryRecord, status: &Status) -> HistoryRecord {
    HistoryRecord { to: status.desired.clone(), observed: status.observed.clone(), ..record }
}

fn serves(heard: Heard, already: bool, leaving: Option<u32>, warning: Option<String>) -> Answer {
    let Heard { status, is_silent } = heard;
    Answer::Serves { status: Box::new(status), already, is_silent, leaving, warning }
}

fn tell(answer: Option<oneshot::Sender<Answer>>, said: Answer) {
    if let Some(answer) = answer {
        // Who has gone hears nothing.
        let _ = answer.send(said);
    }
}

async fn ended(serving: &mut Option<Gateway>) -> Ended {
    match serving {
        Some(gateway) => gateway.ended().await,
        None => std::future::pending().await,
    }
}

async fn at(again: Option<Instant>) {
    match again {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

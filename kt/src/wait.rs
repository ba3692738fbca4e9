//! Waits for a rollout to meet a goal, over a watch that is opened again whenever it breaks.

mod progress;

use std::time::Duration;

use fleet_core::rollout::{WaitGoal, WaitVerdict};
use proto::v1;
use service_kit::backoff::Backoff;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Request, Status};

use crate::cli::central::GoalFlags;
use crate::client::{Client, is_passing, jitter_seed};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::views::{CountsView, rollouts};
use progress::Progress;

/// Beyond the rollout's own deadline and bake, before kt gives up.
const GRACE: Duration = Duration::from_secs(60);
/// Longer than anybody waits, and short enough for every clock to add.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What is waited for, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    goal: WaitGoal,
    /// `None`: as long as the rollout can take.
    timeout: Option<Duration>,
}

/// How a wait ended, with the newest rollout seen.
#[derive(Debug, Clone)]
pub(crate) struct Waited {
    pub(crate) rollout: v1::Rollout,
    ended: Ended,
    goal: WaitGoal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Met,
    Impossible,
    TimedOut,
}

// === impl Patience ===

impl Patience {
    pub(crate) fn of(flags: &GoalFlags) -> Self {
        let goal = flags.goal.unwrap_or(WaitGoal::Active { percent: 100 });
        Self { goal, timeout: flags.timeout }
    }

    /// Waits from `first` on; progress goes to stderr.
    ///
    /// # Errors
    /// The control plane refuses the watch; a broken connection is no error but time that passes.
    pub(crate) async fn wait(
        self,
        client: &Client,
        first: v1::Rollout,
        printer: &Printer,
    ) -> Result<Waited, Failure> {
        let patience = self.timeout.unwrap_or_else(|| longest(&first));
        let deadline = Instant::now() + patience.min(FOREVER);
        let progress = Progress::new(printer);
        let mut newest = first;
        let judged = match self.look(&newest, &progress)? {
            Some(ended) => Ok(Ok(ended)),
            None => timeout_at(deadline, self.watch(client, &mut newest, &progress)).await,
        };
        progress.finish();
        let ended = judged.unwrap_or(Ok(Ended::TimedOut))?;
        Ok(Waited { rollout: newest, ended, goal: self.goal })
    }

    async fn watch(
        self,
        client: &Client,
        newest: &mut v1::Rollout,
        progress: &Progress<'_>,
    ) -> Result<Ended, Failure> {
        let mut backoff =
            Backoff::full_jitter(Duration::from_millis(200), Duration::from_secs(5), jitter_seed());
        loop {
            match self.watch_once(client, newest, progress).await? {
                Some(ended) => return Ok(ended),
                None => progress.note("the connection to the control plane broke; trying again"),
            }
            sleep(backoff.next().unwrap_or(GRACE)).await;
        }
    }

    /// One stream; `None` when it broke in a way that may pass.
    async fn watch_once(
        self,
        client: &Client,
        newest: &mut v1::Rollout,
        progress: &Progress<'_>,
    ) -> Result<Option<Ended>, Failure> {
        let passing = |status: &Status| {
            if is_passing(status) { Ok(None) } else { Err(client.failure(status)) }
        };
        let request = Request::new(v1::WatchRolloutRequest { id: newest.id.clone() });
        let mut stream = match client.rollouts().watch_rollout(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return passing(&status),
        };
        loop {
            match stream.message().await {
                Ok(Some(rollout)) => *newest = rollout,
                Ok(None) => return Ok(None),
                Err(status) => return passing(&status),
            }
            if let Some(ended) = self.look(newest, progress)? {
                return Ok(Some(ended));
            }
        }
    }

    fn look(self, rollout: &v1::Rollout, progress: &Progress<'_>) -> Result<Option<Ended>, Failure> {
        progress.show(rollout);
        let state = proto::convert::rollouts::state(rollout.state()).map_err(|error| {
            Failure::unexpected(format!("the control plane answered a rollout kt cannot read: {error}"))
        })?;
        let counts = proto::convert::rollouts::counts(&rollouts::counts(rollout));
        Ok(match self.goal.judge(state, &counts) {
            WaitVerdict::Met => Some(Ended::Met),
            WaitVerdict::Impossible => Some(Ended::Impossible),
            WaitVerdict::Open => None,
        })
    }
}

// === impl Waited ===

impl Waited {
    /// Nothing when the goal was met; else what the exit code says.
    pub(crate) fn outcome(&self) -> Result<Exit, Failure> {
        let counts = crate::tables::counts(&CountsView::of(&rollouts::counts(&self.rollout)));
        let state = rollouts::state(self.rollout.state());
        let id = &self.rollout.id;
        let goal = goal_word(self.goal);
        match self.ended {
            Ended::Met => Ok(Exit::Done),
            Ended::Impossible => {
                let reason = &self.rollout.reason;
                let because = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
                Err(Failure::new(
                    Exit::Failed,
                    "goal_not_met",
                    format!("rollout {id} is {state}{because} and cannot become {goal}: {counts}"),
                )
                .with_hint(format!("`kt rollout status {id}` tells more")))
            }
            Ended::TimedOut => Err(Failure::new(
                Exit::Unreachable,
                "timed_out",
                format!("rollout {id} is {state} and not yet {goal}: {counts}"),
            )
            .with_hint(format!("it goes on by itself; wait again with `kt rollout wait {id}`"))),
        }
    }
}

/// The time a rollout can take.
fn longest(rollout: &v1::Rollout) -> Duration {
    let strategy = proto::convert::rollouts::strategy(rollout.strategy).ok();
    let strategy = strategy.unwrap_or(fleet_core::rollout::RolloutStrategy::DEFAULT);
    strategy.deadline.saturating_add(strategy.bake).saturating_add(GRACE)
}

fn goal_word(goal: WaitGoal) -> String {
    match goal {
        WaitGoal::Active { percent: 100 } => "active on every gateway".to_owned(),
        WaitGoal::Active { percent } => format!("active on {percent}% of the gateways"),
        WaitGoal::Proven => "proven on every gateway".to_owned(),
        WaitGoal::Succeeded => "succeeded".to_owned(),
    }
}

//! From nothing to a gateway that serves, or to the reason why not.

use std::io;

use instance::documents::LastFailure;
use time::OffsetDateTime;
use tokio::time::{sleep, sleep_until};

use super::replace::ALONE;
use super::*;
use crate::instances::cannot_use;

/// How long a gateway may take to end that is not ready in time.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LONGEST_LOOK: Duration = Duration::from_millis(100);

pub(super) struct Launch {
    /// One that is late is left running: nobody waits, and it may come.
    pub(super) may_stay: bool,
}

pub(super) struct NotLaunched {
    pub(super) failure: Failure,
    /// How the process ended, if there was one and it did.
    pub(super) ended: Option<Ended>,
    /// The stage that refused its pack, if it said so.
    pub(super) stage: Option<String>,
}

impl From<Failure> for NotLaunched {
    fn from(failure: Failure) -> Self {
        Self { failure, ended: None, stage: None }
    }
}

impl Owner {
    /// Starts a gateway and waits until it serves; tells it in the history.
    pub(super) async fn launch(
        &mut self,
        cause: &Cause,
        limit: Duration,
        launch: Launch,
    ) -> Result<(Status, Option<String>), NotLaunched> {
        let began = Instant::now();
        let launched = self.launch_untold(limit, &launch).await;
        let outcome = match &launched {
            Ok(status) if does_nothing(status) => Outcome::Failed,
            Ok(_) => Outcome::Succeeded,
            Err(_) => Outcome::Failed,
        };
        if outcome == Outcome::Failed && !cause.is_told {
            return launched.map(|status| (status, None));
        }
        let mut record = record::record(cause.action, outcome, cause.actor.clone(), began.elapsed());
        record.reason.clone_from(&cause.reason);
        match &launched {
            Ok(status) => {
                if let Err(why) = readiness::told(status) {
                    record.reason = Some(why);
                }
                record = told_of(record, status);
            }
            Err(NotLaunched { failure, stage, .. }) => {
                record.reason = Some(failure.message().to_owned());
                record.stage.clone_from(stage);
                record.findings = failure.findings().iter().map(Into::into).collect();
            }
        }
        let warning = self.keep(record);
        launched.map(|status| (status, warning))
    }

    async fn launch_untold(&mut self, limit: Duration, launch: &Launch) -> Result<Status, NotLaunched> {
        let address = self.address()?;
        if !self.listener.as_ref().is_some_and(|listener| listener.is_of(&address)) {
            // The old one first: both may be of one port.
            self.listener = None;
            self.listener = Some(Listener::bind(&address)?);
        }
        let Some(listener) = &self.listener else {
            return Err(Failure::unexpected("no socket to serve on").into());
        };
        let mut gateway = Gateway::start(&self.program, &self.place, listener, false)
            .map_err(|error| no_process(&self.program, &error))?;
        match self.until_ready(&mut gateway, limit).await {
            Ok(status) => {
                self.serving = Some(gateway);
                self.note_pids(None);
                Ok(status)
            }
            Err(late) if late.ended.is_none() && launch.may_stay && !self.is_told_to_stop() => {
                self.log.say(&format!("{}; it is left to go on", late.failure.message()));
                let status = unheard(&self.place, gateway.pid);
                self.serving = Some(gateway);
                self.note_pids(None);
                Ok(status)
            }
            Err(failed) => {
                if failed.ended.is_none() {
                    gateway.end_within(PATIENCE).await;
                }
                Err(failed)
            }
        }
    }

    pub(super) fn is_told_to_stop(&self) -> bool {
        self.later.iter().any(|order| matches!(order, Order::Asked(Asked { ask: Ask::Stop, .. })))
    }

    /// Where it is to listen. What was known of it holds where `instance.json` is spoiled, which is then written anew:
    /// a gateway that is installed does not end for that.
    fn address(&mut self) -> Result<String, Failure> {
        let name = self.place.name();
        let path = self.place.description();
        let why = match Description::read(&self.place) {
            Ok(Some(found)) if found.installed.is_some() => {
                let listen = found.listen.clone();
                self.known = Some(found);
                return Ok(listen);
            }
            Ok(Some(_)) => {
                return Err(Failure::new(
                    Exit::NotFound,
                    "not_installed",
                    format!("gateway `{name}` is not installed any more"),
                ));
            }
            Ok(None) => io::Error::from(io::ErrorKind::NotFound),
            Err(error) => error,
        };
        let Some(known) = &self.known else { return Err(cannot_use(&path, &why)) };
        let aside = match durable::set_aside(&path) {
            Ok(aside) => format!("set aside as `{}` and ", aside.display()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(cannot_use(&path, &error)),
        };
        known.write(&path).map_err(|error| cannot_use(&path, &error))?;
        self.log.say(&format!("instance.json cannot be used ({why}): {aside}written anew as it was"));
        Ok(known.listen.clone())
    }

    /// Remembers what a gateway was started with.
    pub(super) fn learn(&mut self) {
        if let Ok(Some(found)) = Description::read(&self.place)
            && found.installed.is_some()
        {
            self.known = Some(found);
        }
    }

    /// Waits until `gateway` serves, has ended, the time is over, or somebody wants it to stop. Other orders wait.
    pub(super) async fn until_ready(
        &mut self,
        gateway: &mut Gateway,
        limit: Duration,
    ) -> Result<Status, NotLaunched> {
        let began = Instant::now();
        let mut deadline = began + limit;
        let mut pause = FIRST_LOOK;
        let mut answered: Option<Instant> = None;
        loop {
            let look = async {
                sleep(pause).await;
                timeout(LOOK_LIMIT, door::status(&self.place)).await
            };
            let looked = tokio::select! {
                biased;
                ended = gateway.ended() => return Err(self.ended_early(gateway, ended)),
                ended = ended(&mut self.serving) => {
                    // Nobody serves now: this one does soon, or makes way for another.
                    self.old_ended(ended);
                    deadline = deadline.min(Instant::now() + ALONE);
                    continue;
                }
                Some(order) = self.orders.recv() => {
                    if !matches!(&order, Order::Asked(Asked { ask: Ask::Stop, .. })) {
                        self.later.push_back(order);
                        continue;
                    }
                    // Before what was asked for earlier: that would be ended by it anyway.
                    self.later.push_front(order);
                    let message = format!("gateway `{}` was told to stop while it started", self.place.name());
                    return Err(Failure::new(Exit::Conflict, "stopped", message).into());
                }
                () = sleep_until(deadline) => return Err(self.late(gateway, began.elapsed()).into()),
                looked = look => looked,
            };
            pause = (pause * 2).min(LONGEST_LOOK);
            let Ok(Ok(status)) = looked else { continue };
            if status.pid == Some(gateway.pid) {
                let since = *answered.get_or_insert_with(Instant::now);
                if readiness::judge(&status, gateway.pid, since.elapsed()) == readiness::Standing::Settled {
                    return Ok(status);
                }
            }
        }
    }

    fn ended_early(&self, gateway: &Gateway, ended: Ended) -> NotLaunched {
        let name = self.place.name();
        let words = gateway.last_words(&self.place).filter(|_| matches!(ended, Ended::Exit(_)));
        let message = match words {
            Some(words) => format!("gateway `{name}` did not start: {words}"),
            // Whoever is killed had no time to say why.
            None => format!("gateway `{name}` {ended} before it was ready"),
        };
        let exit = match ended {
            Ended::Exit(code @ 1..=6) => u8::try_from(code).map_or(Exit::Failed, Exit::of_code),
            // Not even an end in order is what was asked for.
            Ended::Exit(_) | Ended::Signal(_) => Exit::Failed,
        };
        let mut failure = Failure::new(exit, "start_failed", message)
            .with_hint(format!("its log: `kt gateway logs --name {name}`"));
        let told = launch_failure(&self.place, gateway.began);
        if let Some(told) = &told {
            failure = failure.with_findings(told.findings.iter().map(Into::into).collect());
        }
        NotLaunched { failure, ended: Some(ended), stage: told.map(|told| told.stage) }
    }

    fn late(&self, gateway: &Gateway, waited: Duration) -> Failure {
        let name = self.place.name();
        let said = gateway.last_words(&self.place).map(|words| format!("; it said last: {words}"));
        Failure::new(
            Exit::Unreachable,
            "timed_out",
            format!(
                "gateway `{name}` was not ready within {} s{}",
                waited.as_secs(),
                said.unwrap_or_default()
            ),
        )
        .with_hint(format!("its log: `kt gateway logs --name {name}`; give it longer with --timeout"))
    }
}

/// What the process that `began` then said of its own failed start, if it did. What failed before it is another matter.
fn launch_failure(place: &Place, began: OffsetDateTime) -> Option<LastFailure> {
    let bytes = durable::read(&place.last_status(), 16 * 1024 * 1024).ok()?;
    let failure = serde_json::from_slice::<Status>(&bytes).ok()?.last_failure?;
    (failure.action == Action::Start && failure.at >= began).then_some(failure)
}

pub(super) fn does_nothing(status: &Status) -> bool {
    status.source == Source::Local && readiness::told(status).is_err()
}

/// Of a process that runs and says nothing.
pub(super) fn unheard(place: &Place, pid: u32) -> Status {
    let found = crate::instances::Found {
        place: place.clone(),
        description: Description::read(place)
            .map_err(|error| error.to_string())
            .and_then(|found| found.ok_or_else(|| "instance.json is missing".to_owned())),
    };
    let known = crate::instances::stopped::status(&found);
    let known = known.unwrap_or_else(|_| crate::instances::stopped::empty(&found, Source::Local));
    Status { running: true, pid: Some(pid), ..known }
}

pub(super) fn no_process(program: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, "program_broken", format!("cannot run `{}`: {error}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_start_itself_says_why_it_failed() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::new(home.path(), "a");
        place.make().unwrap();
        let began = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(60);
        let failed = |action, at| {
            let found = crate::instances::Found { place: place.clone(), description: Err(String::new()) };
            let (stage, reason) = ("secrets".to_owned(), "no key".to_owned());
            let failure = LastFailure { at, action, stage, reason, findings: Vec::new() };
            let status = crate::instances::stopped::empty(&found, Source::Local);
            let status = Status { last_failure: Some(failure), ..status };
            durable::write(&place.last_status(), &serde_json::to_vec(&status).unwrap()).unwrap();
            launch_failure(&place, began).is_some()
        };
        assert!(failed(Action::Start, began));
        let before = began - Duration::from_millis(1);
        assert!(!failed(Action::Start, before), "another start");
        assert!(!failed(Action::Reload, began), "not a start");
    }
}

//! A new process in the place of one that serves, which is given up for nothing less than what it does itself.

use tokio::time::{sleep, timeout_at};

use super::launch::{NotLaunched, PATIENCE, does_nothing, no_process};
use super::*;

/// What the new process may still take once nobody serves beside it.
pub(super) const ALONE: Duration = Duration::from_secs(5);
/// Between two looks whether the old process has taken back what it handed over.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long it may take to end then.
const IMPATIENCE: Duration = Duration::from_secs(1);

impl Owner {
    /// A new process beside the old one, which serves on until the new one does.
    pub(super) async fn replace(&mut self, program: PathBuf, actor: String, limit: Duration) -> Answer {
        let began = Instant::now();
        let before = self.status().await.map(|heard| heard.status);
        let launched = self.beside(&program, before.as_ref(), limit).await;
        let from = before.and_then(|status| status.observed);
        let mut record = record::record(Action::Restart, Outcome::Failed, actor, began.elapsed());
        record.from.clone_from(&from);
        match launched {
            Ok((newcomer, status)) => {
                self.program = program;
                self.learn();
                let old = self.serving.replace(newcomer);
                self.note_pids(None);
                self.course.anew();
                let leaving = old.as_ref().map(|old| old.pid);
                if let Some(old) = old {
                    self.leaving.push(Box::pin(old.make_way(self.hurry.subscribe())));
                }
                if does_nothing(&status) {
                    record.reason = readiness::told(&status).err();
                } else {
                    record.outcome = Outcome::Succeeded;
                }
                let warning = self.keep(told_of(record, &status));
                serves(Heard::of(status), false, leaving, warning)
            }
            Err(failure) => {
                self.note_pids(None);
                self.until_taken_back().await;
                let old = self.serving.as_ref().map(|gateway| gateway.pid);
                record.reason = Some(failure.message().to_owned());
                record.findings = failure.findings().iter().map(Into::into).collect();
                record.observed = old.and(from);
                // What went wrong is told; that the history does not know it is the smaller trouble.
                let _ = self.keep(record);
                if old.is_none() && self.again.is_none() {
                    self.ended("neither the old process nor the new one serves".to_owned());
                }
                Answer::of(&not_replaced(&failure, old))
            }
        }
    }

    /// A process that does what the one before does, or why there is none. Where that one ends meanwhile, any will do.
    async fn beside(
        &mut self,
        program: &Path,
        before: Option<&Status>,
        limit: Duration,
    ) -> Result<(Gateway, Status), Failure> {
        let listener = self
            .listener
            .as_ref()
            .ok_or_else(|| Failure::unexpected("a gateway serves on a socket that is not there"))?;
        let mut newcomer = Gateway::start(program, &self.place, listener, true)
            .map_err(|error| no_process(program, &error))?;
        self.note_pids(Some(newcomer.pid));
        let (failure, patience) = match self.until_ready(&mut newcomer, limit).await {
            Ok(status) => match before.filter(|_| self.serving.is_some()) {
                Some(before) => match readiness::may_follow(before, &status) {
                    Ok(()) => return Ok((newcomer, status)),
                    Err(why) => (falls_short(&status, &why), PATIENCE),
                },
                None => return Ok((newcomer, status)),
            },
            Err(NotLaunched { failure, ended: Some(_), .. }) => return Err(failure),
            Err(NotLaunched { failure, ended: None, .. }) => {
                (failure, if self.serving.is_some() { PATIENCE } else { IMPATIENCE })
            }
        };
        newcomer.end_within(patience).await;
        Err(failure)
    }

    /// Waits until the old process is the gateway again, if it lives: it may have handed over.
    async fn until_taken_back(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Some(gateway) = &mut self.serving {
            if let Some(ended) = gateway.has_ended() {
                return self.old_ended(ended);
            }
            let pid = gateway.pid;
            let told = timeout_at(deadline, door::status(&self.place)).await;
            let is_back = matches!(told, Ok(Ok(status)) if status.pid == Some(pid));
            // One that does not answer is left to itself, as ever.
            if is_back || Instant::now() >= deadline {
                return;
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// It ended while a new process was on its way, and nobody told it to.
    pub(super) fn old_ended(&mut self, ended: Ended) {
        let pid = self.serving.as_ref().map(|gateway| gateway.pid).unwrap_or_default();
        self.ended(format!("the old process (pid {pid}) {ended} during a restart"));
    }
}

/// Of a newcomer that answers and does less than the one before.
fn falls_short(status: &Status, why: &str) -> Failure {
    let findings = status.last_failure.iter().flat_map(|failure| failure.findings.iter().map(Into::into));
    Failure::new(Exit::Failed, "not_replaced", why)
        .with_hint(format!("its log: `kt gateway logs --name {}`", status.name))
        .with_findings(findings.collect())
}

/// A restart that came to nothing is a failure, whatever the newcomer's own exit code says of itself.
fn not_replaced(failure: &Failure, old: Option<u32>) -> Failure {
    let serves = match old {
        Some(pid) => format!("the old process (pid {pid}) serves on"),
        None => "the old process has ended meanwhile, and another one is started now".to_owned(),
    };
    let told = Failure::new(
        Exit::Failed,
        "not_replaced",
        format!("the new process did not take over: {}; {serves}", failure.message()),
    )
    .with_findings(failure.findings().to_vec());
    match failure.hint() {
        Some(hint) => told.with_hint(hint),
        None => told,
    }
}

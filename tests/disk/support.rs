//! What the suites of the disk share: a fleet of one for each gateway, a tracer, and what a client sees.
#![cfg(test)]

use std::process::{Command, Stdio};
use std::time::Duration;

use proto::v1;
use tests::eventually::eventually;
use tests::operator::{Operator, pack};

/// For a traced program on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Whether everything is to be tried, and not the thinned sweep of the test command.
pub(crate) fn full_sweep() -> bool {
    std::env::var_os("KT_DISK_FULL").is_some_and(|value| value == "1")
}

/// False, in words, where this process may trace nobody (some containers).
///
/// # Panics
/// There is no `strace`.
pub(crate) fn may_trace() -> bool {
    let status = Command::new("strace").arg("true").stdout(Stdio::null()).stderr(Stdio::null()).status();
    let status = status.unwrap_or_else(|error| {
        panic!("these tests need `strace` ({error}); install it with: apt-get install -y strace")
    });
    if !status.success() {
        println!("skipped: this machine lets no process trace another (ptrace is forbidden)");
    }
    status.success()
}

/// Pushes a pack to a fleet and waits until its rollout ended in this state.
pub(crate) async fn push_until(
    operator: &Operator,
    fleet: &str,
    version: &str,
    state: v1::RolloutState,
) -> v1::Rollout {
    let pushed = operator.push(fleet, &pack_of(fleet, version)).await;
    let id = pushed.rollout.expect("a rollout").id;
    eventually(&format!("the rollout of {version} to {fleet} is {state:?}"), PATIENCE, async || {
        let rollout = operator.rollout(&id).await;
        if rollout.state() == state { Ok(rollout) } else { Err(rollout) }
    })
    .await
}

/// A pack of the fleet's own config, so that many fleets share one control plane.
pub(crate) fn pack_of(fleet: &str, version: &str) -> String {
    pack(version).replace("name: local-dev", &format!("name: {fleet}"))
}

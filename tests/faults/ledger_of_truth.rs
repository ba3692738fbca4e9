//! What must hold at the end of every run, whatever happened in it: read back and compared with what was
//! acknowledged.

use std::collections::BTreeMap;
use std::fmt;

use policy_config::ConfigDigest;
use proto::v1;

use crate::rig::Rig;

/// What was looked at, for the report.
pub struct Verified {
    revisions: usize,
    events: usize,
    activations: usize,
}

// === impl Verified ===

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revisions, events, activations } = self;
        write!(
            f,
            "{revisions} revisions, {events} events and {activations} activations without a gap or a double"
        )
    }
}

/// Every acknowledged revision is there with its bytes, revisions and history have no gap and no double, and on no
/// gateway did an activation follow a later one.
pub async fn verify(rig: &Rig) -> Verified {
    // One connection for them all.
    let mut configs = rig.operator().configs();
    for (revision, digest) in &rig.truth.acknowledged {
        let request = v1::GetConfigRequest { config: "local-dev".into(), revision: *revision };
        let stored = configs.get_config(request).await.expect("an acknowledged revision");
        let source = stored.into_inner().source;
        assert_eq!(&ConfigDigest::of(&source).to_string(), digest, "revision {revision} has other bytes");
    }
    let events = rig.operator().whole_history().await;

    let mut pushed: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == "config_pushed") {
        pushed.entry(&event.config).or_default().push(event.revision());
    }
    for (config, revisions) in &pushed {
        let expected: Vec<u64> = (1..=u64::try_from(revisions.len()).expect("few")).collect();
        assert_eq!(revisions, &expected, "{config}: each revision is told once, in order");
    }
    let ours = pushed.get("local-dev").map_or(&[][..], Vec::as_slice);
    assert!(rig.truth.acknowledged.keys().all(|revision| ours.contains(revision)));

    let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
    let mut activations = 0;
    for event in events.iter().filter(|event| event.kind == "activation" && event.outcome == "active") {
        activations += 1;
        let before = newest.insert(&event.gateway, event.generation()).unwrap_or_default();
        assert!(event.generation() > before, "{}: {} after {before}", event.gateway, event.generation());
    }
    Verified { revisions: pushed.values().map(Vec::len).sum(), events: events.len(), activations }
}

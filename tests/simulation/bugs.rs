//! Bugs to plant: each is caught by an invariant, or the net has a hole.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// An agent activates what its standing calls too old.
    AcceptsLowerGenerations,
    /// An agent swaps and acks, and keeps later.
    AcksBeforeTheKeep,
    /// A refusal leaves an agent without a policy.
    RefusalDropsThePolicy,
    /// A rollout assigns to more gateways than are in its wave.
    MovesMoreThanTheWave,
    /// An agent swaps before its stages have passed.
    SwapsBeforeTheStages,
    /// A control plane offers on the same stream what was refused on it.
    ReoffersTheRefused,
    /// An agent sends a report once and never again.
    ReportsOnlyOnce,
    /// A control plane that lost the compare-and-set writes what it once read.
    StaleReplica,
    /// A restored database hands out the generations that its gateways have seen once more.
    ForgetsWhatWasSeen,
    /// Reports become rows, but no history.
    ForgetsTheHistory,
}

/// Each with the numbers of the invariants that may catch it first.
pub(crate) const ALL: &[(Bug, &[u8])] = &[
    (Bug::AcceptsLowerGenerations, &[1]),
    (Bug::AcksBeforeTheKeep, &[1, 2]),
    (Bug::RefusalDropsThePolicy, &[2]),
    (Bug::MovesMoreThanTheWave, &[3]),
    (Bug::SwapsBeforeTheStages, &[4]),
    (Bug::ReoffersTheRefused, &[5]),
    (Bug::ReportsOnlyOnce, &[5]),
    (Bug::StaleReplica, &[1, 3]),
    (Bug::ForgetsWhatWasSeen, &[5]),
    (Bug::ForgetsTheHistory, &[6]),
];

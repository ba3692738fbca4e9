//! A valid pack: what the engine runs. Made only by parsing; unknown keys never get here.

pub mod address;
pub mod chain;
pub mod pack;
pub mod providers;
pub(crate) mod read;
pub mod settings;
pub mod testing;

pub use chain::{PolicyKind, PolicyMode};
pub use pack::{Pack, PackName, PackVersion};
pub use providers::{
    CircuitBreaker, Fallback, FallbackTrigger, Provider, ProviderTarget, Providers, RoutingStrategy,
    SecretKeyRef, TargetId,
};
pub use settings::{
    AuditLogger, DetectAction, MarkerFormat, PiiAction, PiiDetector, PolicySettings, PromptInjection,
};
pub use testing::{Expected, ExpectedReason, ExpectedVerdict, TestCase, TestSuite, UpstreamResponse};

/// What one policy file says to a gateway. The cases of `testing` are no part of it: they change nothing there.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyConfig {
    pub pack: Pack,
    pub providers: Providers,
    /// The chain in order, each with its settings (defaults where the file has no block).
    pub policies: Vec<PolicySettings>,
}

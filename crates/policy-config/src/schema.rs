//! A valid pack: what the engine runs. Made only by parsing; unknown keys never get here.

use std::time::Duration;

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
    Access, AccessRule, AuditLogger, DetectAction, DlpAction, DlpFilter, Limit, LimitKey, MarkerFormat,
    ModelAccess, NameFilter, PiiAction, PiiDetector, PolicySettings, PromptInjection, RateLimit,
};
pub use testing::{Expected, ExpectedReason, ExpectedVerdict, TestCase, TestSuite, UpstreamResponse};

/// What one policy file says to a gateway. The cases of `testing` are no part of it: they change nothing there.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyConfig {
    pub pack: Pack,
    pub providers: Providers,
    /// The chain in order, each with its settings (defaults where the file has no block).
    pub policies: Vec<PolicySettings>,
    /// `policies.budget`: what the policies may use of the processor for one body.
    pub budget: Duration,
}

//! [`Engine`]: what one compiled pack offers to a gateway.

use std::sync::Arc;

use policy_config::PolicyConfig;
use policy_config::schema::{AuditLogger, CircuitBreaker, Fallback, PackVersion, RoutingStrategy, TargetId};

use crate::chain::Chain;
use crate::compile::{self, CompileError};
use crate::endpoint::Endpoint;
use crate::policies::Policy;
use crate::request::{self, RequestError};
use crate::routing::{Candidates, NoTarget};
use crate::secrets::Secrets;
use crate::self_test::{self, SelfTestError};
use crate::stream::StreamInspector;
use crate::surroundings::Surroundings;
use crate::target::Target;
use crate::usage::UsageReader;
use crate::vectors;
use crate::verdict::Inspection;

/// A compiled pack. Immutable; a request takes it once and keeps it to its last byte.
#[derive(Debug)]
pub struct Engine {
    enabled: bool,
    version: PackVersion,
    targets: Vec<Target>,
    routing: RoutingStrategy,
    fallback: Fallback,
    circuit_breaker: CircuitBreaker,
    audit: Option<AuditLogger>,
    chain: Arc<Chain>,
}

// === impl Engine ===

impl Engine {
    /// Builds every pattern and every target. A missing secret is no error here: its target is down.
    pub fn compile(config: &PolicyConfig, secrets: Secrets) -> Result<Self, CompileError> {
        let chain = compile::chain_of(config)?;
        Ok(Self {
            enabled: config.pack.enabled,
            version: config.pack.version.clone(),
            targets: config
                .providers
                .targets
                .iter()
                .map(|target| Target::compile(target, &secrets))
                .collect(),
            routing: config.providers.routing,
            fallback: config.providers.fallback.clone(),
            circuit_breaker: config.providers.circuit_breaker,
            audit: compile::audit(&config.policies),
            chain: Arc::new(chain),
        })
    }

    /// Runs the compiled chain on built-in requests: a harmless one must pass unchanged, and each
    /// policy must catch what it is there for. The error names the policy.
    pub fn self_test(&self) -> Result<(), SelfTestError> {
        self_test::run(&self.chain)
    }

    /// `pack.enabled`; when false the gateway answers 503 and calls nobody.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub fn pack_version(&self) -> &PackVersion {
        &self.version
    }

    /// The models of all targets in file order, each once; globs as written.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        let names = self.targets.iter().map(|target| target.model.as_str()).enumerate();
        names
            .filter(|(at, name)| self.targets.iter().take(*at).all(|earlier| earlier.model != *name))
            .map(|(_, name)| name)
    }

    /// The models as whoever asks may use them, each once; names and globs.
    pub fn models_for(&self, around: &dyn Surroundings, of: impl Fn(&Target) -> bool) -> Vec<String> {
        let mut shown: Vec<String> = Vec::new();
        let targets = self.targets.iter().filter(|target| of(target));
        for model in targets.flat_map(|target| self.chain.shown_models(target, around)) {
            if !shown.contains(&model) {
                shown.push(model);
            }
        }
        shown
    }

    /// Whether whoever asks may use this model.
    pub fn shows(&self, model: &str, around: &dyn Surroundings, of: impl Fn(&Target) -> bool) -> bool {
        let mut serving = self.targets.iter().filter(|target| of(target) && target.serves(model));
        serving.any(|target| self.chain.permits_model(target, model, around))
    }

    /// Headers that say who asks, in lower case: for the policies, and never sent on to a provider.
    pub fn identity_headers(&self) -> impl Iterator<Item = &str> {
        self.chain.policies().flat_map(Policy::identity_headers).map(String::as_str)
    }

    /// All targets in file order.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The targets that may be asked for this model at this endpoint, of those that `allowed` lets through.
    pub fn candidates(
        &self,
        endpoint: Endpoint,
        model: &str,
        allowed: impl Fn(&TargetId) -> bool,
    ) -> Result<Candidates, NoTarget> {
        Candidates::of(&self.targets, endpoint, model, allowed)
    }

    /// How one of the candidates is chosen.
    pub fn routing(&self) -> RoutingStrategy {
        self.routing
    }

    /// When a further one is asked.
    pub fn fallback(&self) -> &Fallback {
        &self.fallback
    }

    /// When one that keeps failing is left alone.
    pub fn circuit_breaker(&self) -> &CircuitBreaker {
        &self.circuit_breaker
    }

    /// The settings of `audit-logger`, when the chain names it.
    pub fn audit(&self) -> Option<&AuditLogger> {
        self.audit.as_ref()
    }

    /// The input phase over a request body.
    pub fn inspect_request(
        &self,
        endpoint: Endpoint,
        body: &[u8],
        around: &dyn Surroundings,
    ) -> Result<Inspection, RequestError> {
        let head = request::read(endpoint, body)?;
        if let Some(path) = head.tokens.filter(|_| self.chain.guards_input()) {
            return Err(RequestError::Tokens { path });
        }
        let inspection = self.chain.inspect_input(endpoint, &head.model, head.document, around);
        Ok(Inspection { model: head.model, stream: head.stream, ..inspection })
    }

    /// False: no policy reads what comes back, so bodies and streams pass straight through.
    pub fn inspects_responses(&self) -> bool {
        self.chain.reads_output()
    }

    /// False: whatever the policies say of a response, it goes on as it is.
    pub fn guards_responses(&self) -> bool {
        self.chain.guards_output()
    }

    /// The output phase over a response that cannot be read, for this reason: blocked where a policy guards it.
    pub fn unread_response(&self, why: &str) -> Inspection {
        self.chain.unreadable(why)
    }

    /// The output phase over a whole response body. One that cannot be read is blocked.
    pub fn inspect_response(&self, endpoint: Endpoint, body: &[u8], around: &dyn Surroundings) -> Inspection {
        let inspection = match endpoint {
            Endpoint::Embeddings => self.inspect_vectors(body, around),
            _ => self.chain.inspect_output(endpoint, body, around),
        };
        let usage = inspection.usage.or_else(|| UsageReader::of_whole(body));
        Inspection { usage, ..inspection }
    }

    /// Numbers are no words; what stands beside them is read.
    fn inspect_vectors(&self, body: &[u8], around: &dyn Surroundings) -> Inspection {
        let mut inspection = self.chain.inspect_output(Endpoint::Embeddings, &vectors::without(body), around);
        let Some(changed) = inspection.body.take() else { return inspection };
        match vectors::filled(&changed, body) {
            Some(changed) => Inspection { body: Some(changed), ..inspection },
            None => self.chain.unreadable("the redacted answer could not be read back"),
        }
    }

    /// The output phase of a response that nobody reads: the records of the loggers, and what it cost.
    pub fn pass_response(&self, body: &[u8]) -> Inspection {
        Inspection { usage: UsageReader::of_whole(body), ..self.chain.pass_output() }
    }

    /// The output phase over a server-sent event stream; one that nobody reads passes through it untouched.
    pub fn stream_inspector(&self, endpoint: Endpoint, around: Arc<dyn Surroundings>) -> StreamInspector {
        StreamInspector::new(endpoint, Arc::clone(&self.chain), around)
    }
}

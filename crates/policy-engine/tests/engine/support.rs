//! Packs and bodies for the tests.

use policy_config::PolicyConfig;
use policy_config::schema::{
    AuditLogger, DetectAction, MarkerFormat, Pack, PiiAction, PiiDetector, PolicyMode, PolicySettings,
    PromptInjection, Provider, ProviderTarget, Providers, RoutingStrategy, SecretKeyRef,
};
use policy_engine::{Engine, Secrets};
use serde_json::{Value, json};

pub(crate) fn pii() -> PiiDetector {
    PiiDetector {
        mode: PolicyMode::Enforce,
        action: PiiAction::Redact,
        pci_mode: true,
        healthcare_mode: false,
        detect_patterns: Default::default(),
        marker_format: MarkerFormat::Label,
        custom_markers: Default::default(),
    }
}

pub(crate) fn injection() -> PromptInjection {
    PromptInjection {
        mode: PolicyMode::Enforce,
        action: DetectAction::Block,
        message: "no".to_owned(),
        attack_patterns: Vec::new(),
    }
}

pub(crate) fn audit() -> AuditLogger {
    AuditLogger { mode: PolicyMode::Enforce, include_content: false }
}

pub(crate) fn target(id: &str, model: &str) -> ProviderTarget {
    ProviderTarget {
        secret_key_ref: Some(SecretKeyRef::Env("OPENAI_API_KEY".to_owned())),
        ..ProviderTarget::new(id, Provider::OpenAi, model, "http://127.0.0.1:1")
    }
}

pub(crate) fn config(policies: Vec<PolicySettings>) -> PolicyConfig {
    PolicyConfig {
        pack: Pack {
            name: "test".parse().unwrap(),
            version: "0.1.0".parse().unwrap(),
            enabled: true,
            description: None,
            author: None,
        },
        providers: Providers {
            targets: vec![target("a", "gpt-5"), target("b", "gpt-*"), target("c", "gpt-5")],
            routing: RoutingStrategy::Ordered,
            fallback: Default::default(),
            circuit_breaker: Default::default(),
        },
        policies,
        budget: policy_config::schema::settings::DEFAULT_BUDGET,
    }
}

pub(crate) fn engine(policies: Vec<PolicySettings>) -> Engine {
    Engine::compile(&config(policies), Secrets::new()).unwrap()
}

pub(crate) fn request(messages: Value) -> Vec<u8> {
    json!({"model": "gpt-5", "messages": messages}).to_string().into_bytes()
}

pub(crate) fn user(text: &str) -> Vec<u8> {
    request(json!([{"role": "user", "content": text}]))
}

pub(crate) fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

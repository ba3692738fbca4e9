//! Dangerous changes, differences, and the canonical form they rest on.

use policy_config::canonical::canonical;
use policy_config::diff::diff;
use policy_config::document::PolicyDocument;
use policy_config::lint::{lint_change, lint_growth, lint_load};
use policy_config::{PolicyConfig, Severity};

const PACK: &str = include_str!("../../../examples/policy-config-0.1.1.yaml");

fn config(source: &str) -> PolicyConfig {
    let (config, report) = PolicyDocument::new(source).parse();
    config.unwrap_or_else(|| unreachable!("{report:?}"))
}

#[test]
fn each_dangerous_change_has_its_code() {
    let old = config(PACK);
    let bumped = PACK.replace("0.1.1", "0.1.2");
    for (edit, code, path) in [
        (("    - prompt-injection\n", ""), "R001", "policies.chain"),
        (("    - pii-detector\n", ""), "R001", "policies.chain"),
        (("    action: redact", "    mode: shadow"), "R002", "policy.pii-detector.mode"),
        (("https://api.openai.com", "https://evil.example"), "R004", "providers.targets[0].base_url"),
        (("https://api.openai.com", "http://api.openai.com"), "R004", "providers.targets[0].base_url"),
    ] {
        let report = lint_change(&old, &config(&bumped.replacen(edit.0, edit.1, 1)));
        let [finding] = report.findings.as_slice() else { panic!("{edit:?}: {report:?}") };
        assert_eq!((finding.code.as_str(), finding.path.as_str()), (code, path));
        assert!(!report.admissible(), "{edit:?} must ask for a yes");
    }
}

#[test]
fn every_guard_is_one() {
    let source = |chain: &str, blocks: &str| {
        format!(
            "pack: {{name: a, version: 0.1.0, enabled: true}}\nproviders: {{targets: [{{id: a, provider: openai, model: m, \
             base_url: 'http://localhost'}}]}}\npolicies: {{chain: [{chain} audit-logger]}}\npolicy: {{{blocks} audit-logger: {{}}}}\n"
        )
    };
    let none = config(&source("", ""));
    for (kind, settings) in [
        ("prompt-injection", ""),
        ("pii-detector", ""),
        ("dlp-filter", "blocked_terms: [falcon]"),
        ("rate-limit", "limits: [{key: ip, requests: 1}]"),
        ("model-access", "rules: [{consumers: ['*']}]"),
    ] {
        let block = |mode: &str| {
            let comma = if settings.is_empty() { "" } else { ", " };
            config(&source(&format!("{kind},"), &format!("{kind}: {{mode: {mode}{comma}{settings}}},")))
        };
        let codes = |new: &PolicyConfig| {
            let findings = lint_change(&block("enforce"), new).findings;
            findings.into_iter().map(|finding| finding.code).filter(|code| code != "R005").collect::<Vec<_>>()
        };
        assert_eq!(codes(&none), ["R001"], "{kind}");
        assert_eq!(codes(&block("shadow")), ["R002"], "{kind}");
        assert!(codes(&block("enforce")).is_empty(), "{kind}");
    }
}

#[test]
fn the_newer_kinds_have_a_canonical_form_that_means_the_same() {
    let pack = PACK
        .replace("- prompt-injection\n", "- dlp-filter\n    - rate-limit\n    - model-access\n")
        .replace("policies:\n", "policies:\n  budget: 2s\n")
        .replace("  pii-detector:", RULES);
    let config = config(&pack);
    let canonical = canonical(&config);
    for expected in CANONICAL_RULES {
        assert!(canonical.contains(expected), "{expected}\n---\n{canonical}");
    }
    let (again, report) = PolicyDocument::new(canonical.as_str()).parse();
    assert_eq!(again.as_ref(), Some(&config), "{report:?}");

    let changed = diff(&config, &self::config(&pack.replace("requests: 100", "requests: 50"))).to_string();
    let expected = r#"@@ policy @@
- policy.rate-limit.limits[0]: {key: "consumer", requests: 100, tokens: 50000, window: 1m}
+ policy.rate-limit.limits[0]: {key: "consumer", requests: 50, tokens: 50000, window: 1m}
"#;
    assert_eq!(changed, expected);
}

const RULES: &str = "  dlp-filter: {action: redact, blocked_terms: [Project Falcon], detect_patterns: {TICKET: 'SEC-[0-9]+'}}
  rate-limit:
    consumer_header: X-Team
    limits:
      - {key: consumer, requests: 100, tokens: 50000}
      - {key: 'header:X-App', tokens: 9, window: 24h}
      - {key: ip, requests: 5, window: 90s}
      - {key: global, requests: 5, window: 1s}
  model-access:
    rules:
      - {consumers: [team-a, 'b-*'], models: {allow: ['gpt-*'], deny: [gpt-5-pro]}, targets: {deny: [openai-primary]}}
  pii-detector:";

const CANONICAL_RULES: &[&str] = &[
    "  budget: 2s\n",
    "  dlp-filter:\n    mode: enforce\n    action: redact\n    blocked_terms:\n      - \"Project Falcon\"\n    detect_patterns:\n      TICKET: \"SEC-[0-9]+\"\n",
    "    consumer_header: \"x-team\"\n    limits:\n      - key: \"consumer\"\n        requests: 100\n        tokens: 50000\n        window: 1m\n      - key: \"header:x-app\"\n        tokens: 9\n        window: 24h\n      - key: \"ip\"\n        requests: 5\n        window: 90s\n",
    "    consumer_header: \"x-consumer\"\n    default: deny\n    rules:\n      - consumers: [\"team-a\", \"b-*\"]\n        models:\n          allow:\n            - \"gpt-*\"\n          deny:\n            - \"gpt-5-pro\"\n        targets:\n          allow:\n            - \"*\"\n          deny:\n            - \"openai-primary\"\n",
];

#[test]
fn harmless_changes_say_nothing() {
    let old = config(PACK);
    let bumped = PACK.replace("0.1.1", "0.1.2");
    for edit in [
        ("", ""),
        ("https://api.openai.com", "https://api.openai.com/v1/"),
        ("OPENAI_API_KEY", "OTHER_API_KEY"),
        ("    - audit-logger\n", ""),
        ("action: redact", "action: block"),
    ] {
        let report = lint_change(&old, &config(&bumped.replacen(edit.0, edit.1, 1)));
        assert_eq!(report.findings, [], "{edit:?}");
    }
    let shadowed = config(&bumped.replace("    action: redact", "    mode: shadow"));
    assert_eq!(lint_change(&shadowed, &old).findings, [], "back from shadow is no risk");
}

#[test]
fn other_content_under_one_version_is_a_warning() {
    let report = lint_change(&config(PACK), &config(&PACK.replace("action: redact", "action: block")));
    let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!((finding.code.as_str(), finding.severity), ("R005", Severity::Warning));
    let reformatted = config(&format!("# a comment\n{PACK}"));
    assert_eq!(lint_change(&config(PACK), &reformatted).findings, []);
}

#[test]
fn growth_to_twice_the_size_is_seen() {
    assert_eq!(lint_growth(100, 199).findings, []);
    assert_eq!(lint_growth(0, 199).findings, []);
    assert_eq!(lint_growth(100, 200).findings.first().map(|finding| finding.code.as_str()), Some("R003"));
}

#[test]
fn the_canonical_form_writes_every_default_out() {
    let expected = r#"pack:
  name: "local-dev"
  version: "0.1.1"
  enabled: true
  description: ""
  author: ""
providers:
  targets:
    - id: "openai-primary"
      provider: openai
      model: "gpt-5.4-mini-mini"
      base_url: "https://api.openai.com"
      secret_key_ref:
        env: "OPENAI_API_KEY"
      api_key_header: "authorization"
      api_key_prefix: "Bearer "
      timeout: 1m
      connect_timeout: 5s
      weight: 1
  routing:
    strategy: ordered
  fallback:
    triggers:
      - rate_limit
      - server_error
      - timeout
    max_attempts: 3
  circuit_breaker:
    failure_threshold: 5
    cooldown: 30s
policies:
  chain:
    - prompt-injection
    - pii-detector
    - audit-logger
  budget: 1s
policy:
  audit-logger:
    mode: enforce
    include_content: false
  pii-detector:
    mode: enforce
    action: redact
    pci_mode: true
    healthcare_mode: false
    detect_patterns: {}
    redaction:
      marker_format: label
      custom_markers: {}
  prompt-injection:
    mode: enforce
    response:
      action: block
      message: "Request blocked: potential prompt injection detected"
    detection:
      attack_patterns: []
"#;
    let config = config(PACK);
    assert_eq!(canonical(&config), expected);
    assert_eq!(PolicyDocument::new(expected).parse(), (Some(config), Default::default()));
}

#[test]
fn the_canonical_form_of_every_key_of_providers_means_the_same() {
    let routed = PACK.replace(
        "policies:",
        "    - {id: z, provider: azure-openai, model: 'gpt-*', base_url: 'https://n.openai.azure.com/openai/v1/',
       deployment: d, api_version: 2024-10-21, weight: 7, timeout: 20s, connect_timeout: 200ms,
       first_byte_timeout: 3s, idle_timeout: 2m, ca_file: ca.pem, secret_key_ref: {file: azure-key}}
    - {id: a, provider: anthropic, model: claude-*, base_url: 'https://api.anthropic.com/v1', timeout: 1s}
  routing: {strategy: weighted}
  fallback: {triggers: [timeout, rate_limit], max_attempts: 2, total_timeout: 90s}
  circuit_breaker: {failure_threshold: 1, cooldown: 500ms}
policies:",
    );
    let whole = config(&routed);
    assert_eq!(config(&canonical(&whole)), whole);
    let [_, azure, anthropic] = &whole.providers.targets[..] else { panic!("three targets") };
    assert_eq!(azure.base_url, "https://n.openai.azure.com");
    assert_eq!((azure.api_key_header.as_str(), azure.api_key_prefix.as_str()), ("api-key", ""));
    assert_eq!((anthropic.api_key_header.as_str(), anthropic.api_key_prefix.as_str()), ("x-api-key", ""));
    assert_eq!(anthropic.connect_timeout, anthropic.timeout, "no longer than the whole");
    let reordered = routed.replace("[timeout, rate_limit]", "[rate_limit, timeout]");
    assert!(diff(&whole, &config(&reordered)).is_empty());
    let moved = routed.replace("n.openai.azure.com", "m.openai.azure.com");
    let codes = |old: &str, new: &str| {
        lint_change(&config(old), &config(new))
            .findings
            .into_iter()
            .map(|finding| finding.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(&routed, &moved), ["R004", "R005"]);
}

#[test]
fn y39_form_alone_is_no_difference() {
    let reordered = "\
policy: {audit-logger: {}, pii-detector: {pci_mode: true}, prompt-injection: {}}
policies: {chain: [prompt-injection, pii-detector, audit-logger]}
providers: {targets: [{base_url: 'https://API.openai.com/v1', timeout: 60000ms, model: gpt-5.4-mini-mini,
  provider: openai, id: openai-primary, api_key_header: Authorization, secret_key_ref: {env: OPENAI_API_KEY}}]}
pack: {version: 0.1.1, enabled: true, name: local-dev, description: ''}
";
    let (old, new) = (PolicyDocument::new(PACK), PolicyDocument::new(reordered));
    assert_ne!(old.digest(), new.digest());
    let difference = diff(&config(PACK), &config(reordered));
    assert!(difference.is_empty(), "{difference}");
}

#[test]
fn a_difference_names_path_before_and_after() {
    let new = PACK
        .replace("0.1.1", "0.2.0")
        .replace("    - pii-detector\n    - audit-logger", "    - audit-logger\n    - pii-detector")
        .replace("      base_url", "      timeout: 5s\n      base_url")
        .replace("action: redact", "detect_patterns: {BADGE: 'B[0-9]+'}");
    let shown = diff(&config(PACK), &config(&new)).to_string();
    let expected = r#"@@ pack @@
- pack.version: "0.1.1"
+ pack.version: "0.2.0"
@@ providers @@
- providers.targets[openai-primary].timeout: 1m
+ providers.targets[openai-primary].timeout: 5s
@@ policies @@
- policies.chain: [prompt-injection, pii-detector, audit-logger]
+ policies.chain: [prompt-injection, audit-logger, pii-detector]
@@ policy @@
+ policy.pii-detector.detect_patterns.BADGE: "B[0-9]+"
- policy.pii-detector.detect_patterns: {}
"#;
    assert_eq!(shown, expected);
}

#[test]
fn a_load_is_told_what_may_not_be_meant() {
    let old = config(PACK);
    let codes = |source: &str| {
        let findings = lint_load(&old, &config(source)).findings;
        assert!(findings.iter().all(|finding| finding.severity == Severity::Warning), "{findings:?}");
        findings.into_iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    let other = PACK.replace("action: redact", "action: block");
    for (source, expected) in [
        (PACK.replace("0.1.1", "0.1.2"), &none[..]),
        // What asks a fleet for a yes is this operator's own affair.
        (PACK.replace("0.1.1", "0.2.0").replace("    - pii-detector\n", ""), &none[..]),
        (other.clone(), &["R005"]),
        (PACK.replace("0.1.1", "0.1.1-rc.1"), &["R006"]),
        (other.replace("0.1.1", "0.1.0"), &["R006"]),
        (format!("# a comment\n{PACK}"), &["R007"]),
    ] {
        assert_eq!(codes(&source), expected, "{source}");
        let mut findings = lint_load(&old, &config(&source)).findings;
        PolicyDocument::new(source.as_str()).locate(&mut findings);
        let at = source.lines().position(|line| line.trim_start().starts_with("version:")).unwrap() + 1;
        assert!(findings.iter().all(|finding| finding.location.line == at as u32), "{findings:?}");
    }
}

#[test]
fn the_version_of_a_file_is_read_where_lint_refuses_the_rest_and_not_where_it_is_no_yaml() {
    let version = |source: &str| PolicyDocument::new(source).version().map(|version| version.to_string());
    assert_eq!(version(PACK).as_deref(), Some("0.1.1"));
    assert_eq!(version(&PACK.replace("policies:", "polices:")).as_deref(), Some("0.1.1"));
    let broken = [
        "".to_owned(),
        format!("{PACK}: [\n"),
        PACK.replace("0.1.1", "newest"),
        format!("{PACK}---\n{PACK}"),
        "pack: [0.1.1]\n".to_owned(),
    ];
    for source in broken {
        assert_eq!(version(&source), None, "{source}");
    }
}

//! One row per mistake: the edit that makes it in a good pack, and the finding that must come back.
//!
//! Rows marked Y… are the bad inputs of the reliability contract. A rule without a row fails the last test.

use policy_config::document::PolicyDocument;
use policy_config::lint::rules::RULES;
use policy_config::{Finding, Severity};

/// A pack without findings, as the rows edit it.
const GOOD: &str = "\
pack:
  name: local-dev
  version: 0.1.0
  enabled: true
providers:
  targets:
    - id: first
      provider: openai
      model: gpt-5.4-mini-mini
      base_url: https://api.openai.com
      secret_key_ref: {env: OPENAI_API_KEY}
      timeout: 60s
policies:
  chain: [prompt-injection, pii-detector, audit-logger]
policy:
  prompt-injection:
    mode: enforce
    response: {action: block, message: no}
    detection: {attack_patterns: ['ignore\\s+all']}
  pii-detector:
    action: redact
    pci_mode: true
    detect_patterns: {EMPLOYEE: 'E[0-9]{6}'}
    redaction: {marker_format: label, custom_markers: {EMAIL: <mail>}}
  audit-logger: {}
";

struct Case {
    name: &'static str,
    /// Text of `GOOD`, and what stands there instead.
    edit: (&'static str, &'static str),
    code: &'static str,
    /// line, column
    at: (u32, u32),
    path: &'static str,
    /// Part of message or suggestion.
    says: &'static str,
}

const fn case(
    name: &'static str,
    edit: (&'static str, &'static str),
    code: &'static str,
    at: (u32, u32),
    path: &'static str,
    says: &'static str,
) -> Case {
    Case { name, edit, code, at, path, says }
}

const ID: &str = "id: first";
/// The last block of `GOOD`, which a row may trade for another.
const LAST: &str = "audit-logger: {}";
const TARGET: &str = "providers.targets[0]";

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("unknown kind in the chain", ("[prompt-injection,", "[prompt-injektion,"), "E001", (14, 11), "policies.chain[0]", "did you mean `prompt-injection`?"),
    case("kind that nobody knows", ("audit-logger]", "semantic-cache]"), "E001", (14, 43), "policies.chain[2]", "known: prompt-injection, pii-detector, dlp-filter, rate-limit, model-access, audit-logger"),
    case("new kind misspelled", ("audit-logger]", "rate_limit]"), "E001", (14, 43), "policies.chain[2]", "did you mean `rate-limit`?"),
    case("unknown kind of block", ("  audit-logger: {}", "  audit-loger: {}"), "E001", (25, 3), "policy.audit-loger", "did you mean `audit-logger`?"),
    case("Y7 unknown section", ("policies:", "polices:"), "E002", (13, 1), "polices", "did you mean `policies`?"),
    case("Y7 unknown key", ("enabled:", "enabeld:"), "E002", (4, 3), "pack.enabeld", "did you mean `enabled`?"),
    case("Y37 key of a target misspelled", ("timeout: 60s", "wieght: 1"), "E002", (12, 7), "providers.targets[0].wieght", "did you mean `weight`?"),
    case("key of providers misspelled", ("policies:", "  falback: {}\npolicies:"), "E002", (13, 3), "providers.falback", "did you mean `fallback`?"),
    case("chain entry without block", ("  audit-logger: {}\n", ""), "E003", (14, 43), "policies.chain[2]", "defaults apply"),
    case("Y13 name missing", ("  name: local-dev\n", ""), "E004", (2, 3), "pack.name", "add `name:`"),
    case("Y13 name empty", ("name: local-dev", "name: \"\""), "E006", (2, 9), "pack.name", "1-200"),
    case("Y13 name ~", ("name: local-dev", "name: ~"), "E005", (2, 3), "pack.name", "nothing"),
    case("Y13 name a number", ("name: local-dev", "name: 123"), "E005", (2, 9), "pack.name", "quote it: \"123\""),
    case("Y13 name a path", ("name: local-dev", "name: ../x"), "E006", (2, 9), "pack.name", "`../x`"),
    case("version no semver", ("0.1.0", "1.10"), "E006", (3, 12), "pack.version", "0.1.0"),
    case("version with build metadata", ("0.1.0", "0.1.0+x"), "E006", (3, 12), "pack.version", "MAJOR.MINOR.PATCH"),
    case("Y15 yes", ("enabled: true", "enabled: yes"), "E005", (4, 12), "pack.enabled", "true or false"),
    case("Y15 quoted", ("enabled: true", "enabled: \"true\""), "E005", (4, 12), "pack.enabled", "without quotes"),
    case("Y15 1", ("enabled: true", "enabled: 1"), "E005", (4, 12), "pack.enabled", "a number"),
    case("Y15 on", ("enabled: true", "enabled: on"), "E005", (4, 12), "pack.enabled", "true or false"),
    case("Y15 null", ("enabled: true", "enabled:"), "E005", (4, 3), "pack.enabled", "nothing"),
    case("Y17 targets a mapping", ("    - id: first\n", "      id: first\n"), "E005", (7, 7), "providers.targets", "a list of targets"),
    case("Y19 provider misspelled", ("provider: openai", "provider: opnai"), "E007", (8, 17), "providers.targets[0].provider", "did you mean `openai`?"),
    case("Y19 provider of others", ("provider: openai", "provider: bedrock"), "E007", (8, 17), "providers.targets[0].provider", "openai, openai-compatible, azure-openai, anthropic"),
    case("Y19 provider null", ("provider: openai", "provider: null"), "E005", (8, 17), "providers.targets[0].provider", "text"),
    case("model with a blank", ("gpt-5.4-mini-mini", "gpt 5"), "E006", (9, 14), "providers.targets[0].model", "gpt-*"),
    case("strategy misspelled", ("policies:", "  routing: {strategy: round-robin}\npolicies:"), "E006", (13, 23), "providers.routing.strategy", "did you mean `round_robin`?"),
    case("weight of nothing", ("timeout: 60s", "weight: 0"), "E006", (12, 15), "providers.targets[0].weight", "from 1 to 1000"),
    case("weight a fraction", ("timeout: 60s", "weight: 1.5"), "E006", (12, 15), "providers.targets[0].weight", "whole number"),
    case("weight in words", ("timeout: 60s", "weight: heavy"), "E005", (12, 15), "providers.targets[0].weight", "from 1 to 1000"),
    case("weight without weighted routing", ("timeout: 60s", "weight: 3"), "W010", (12, 15), "providers.targets[0].weight", "strategy: weighted"),
    case("trigger misspelled", ("policies:", "  fallback: {triggers: [rate_limits]}\npolicies:"), "E006", (13, 25), "providers.fallback.triggers[0]", "did you mean `rate_limit`?"),
    case("trigger twice", ("policies:", "  fallback: {triggers: [timeout, timeout]}\npolicies:"), "E006", (13, 34), "providers.fallback.triggers[1]", "named twice"),
    case("triggers a word", ("policies:", "  fallback: {triggers: timeout}\npolicies:"), "E005", (13, 24), "providers.fallback.triggers", "a list of triggers"),
    case("too many attempts", ("policies:", "  fallback: {max_attempts: 6}\npolicies:"), "E006", (13, 28), "providers.fallback.max_attempts", "from 1 to 5"),
    case("no attempts", ("policies:", "  fallback: {max_attempts: 0}\npolicies:"), "E006", (13, 28), "providers.fallback.max_attempts", "from 1 to 5"),
    case("attempts quoted", ("policies:", "  fallback: {max_attempts: \"2\"}\npolicies:"), "E005", (13, 28), "providers.fallback.max_attempts", "whole number"),
    case("key of a fallback", ("policies:", "  fallback: {trigger: [timeout]}\npolicies:"), "E002", (13, 14), "providers.fallback.trigger", "did you mean `triggers`?"),
    case("threshold of nothing", ("policies:", "  circuit_breaker: {failure_threshold: 0}\npolicies:"), "E006", (13, 40), "providers.circuit_breaker.failure_threshold", "from 1 to 1000"),
    case("cooldown without a unit", ("policies:", "  circuit_breaker: {cooldown: 30}\npolicies:"), "E016", (13, 31), "providers.circuit_breaker.cooldown", "500ms, 60s"),
    case("first byte after the end", ("timeout: 60s", "first_byte_timeout: 2m"), "E006", (12, 27), "providers.targets[0].first_byte_timeout", "raise `timeout`"),
    case("deployment elsewhere", ("timeout: 60s", "deployment: d"), "E006", (12, 19), "providers.targets[0].deployment", "azure-openai"),
    case("deployment a path", ("provider: openai", "provider: azure-openai\n      deployment: a/b"), "E006", (9, 19), "providers.targets[0].deployment", "1-64 of"),
    case("api version a query", ("provider: openai", "provider: azure-openai\n      api_version: a&b=c"), "E006", (9, 20), "providers.targets[0].api_version", "2024-10-21"),
    case("certificates at a path", ("timeout: 60s", "ca_file: {file: ../ca.pem}"), "E006", (12, 23), "providers.targets[0].ca_file.file", "plain name"),
    case("certificates without TLS", ("base_url: https://api.openai.com", "base_url: http://localhost\n      ca_file: ca.pem"), "E006", (11, 16), "providers.targets[0].ca_file", "use https://"),
    case("certificates from a variable", ("timeout: 60s", "ca_file: {env: CA_API_KEY}"), "E002", (12, 17), "providers.targets[0].ca_file.env", "file"),
    case("certificates in the pack", ("timeout: 60s", "ca_file: \"-----BEGIN CERTIFICATE-----\""), "E006", (12, 16), "providers.targets[0].ca_file", "secrets directory"),
    case("duplicate target", (ID, "id: first\n      provider: openai\n      model: x\n      base_url: http://localhost\n    - id: first"), "E008", (11, 11), "providers.targets[1].id", "line 7"),
    case("duplicate chain entry", ("pii-detector, audit-logger]", "audit-logger, audit-logger]"), "E009", (14, 43), "policies.chain[2]", "line 14"),
    case("Y29 chain empty", ("[prompt-injection, pii-detector, audit-logger]", "[]"), "E010", (14, 10), "policies.chain", "open proxy"),
    case("Y29 chain null", ("chain: [prompt-injection, pii-detector, audit-logger]", "chain:"), "E005", (14, 3), "policies.chain", "a list"),
    case("Y29 chain missing", ("  chain: [prompt-injection, pii-detector, audit-logger]", "  {}"), "E004", (14, 3), "policies.chain", "required"),
    case("Y25 literal key", ("timeout: 60s", "secret_key: sk-hunter2hunter2"), "E012", (12, 19), "providers.targets[0].secret_key", "secret_key_ref: {env: NAME}"),
    case("Y25 key in the reference", ("{env: OPENAI_API_KEY}", "sk-hunter2hunter2"), "E012", (11, 23), "providers.targets[0].secret_key_ref", "{env: NAME}"),
    case("Y25 key as variable name", ("OPENAI_API_KEY", "sk-hunter2hunter2"), "E012", (11, 29), "providers.targets[0].secret_key_ref.env", "looks like a key"),
    case("Y25 key in the reference by value", ("env: OPENAI_API_KEY", "api_key: hunter2"), "E012", (11, 33), "providers.targets[0].secret_key_ref.api_key", "not repeated"),
    case("Y25 key as prefix", ("timeout: 60s", "api_key_prefix: Bearer sk-hunter2hunter2"), "E012", (12, 23), "providers.targets[0].api_key_prefix", "not repeated"),
    case("Y25 key as id", (ID, "id: sk-hunter2hunter2"), "E012", (7, 11), "providers.targets[0].id", "not repeated"),
    case("both env and file", ("OPENAI_API_KEY", "A, file: b"), "E013", (11, 23), "providers.targets[0].secret_key_ref", "both"),
    case("neither env nor file", ("env: OPENAI_API_KEY", ""), "E013", (11, 23), "providers.targets[0].secret_key_ref", "neither"),
    case("bad variable name", ("OPENAI_API_KEY", "hunter2-hunter2"), "E013", (11, 29), "providers.targets[0].secret_key_ref.env", "[A-Za-z_]"),
    case("secret file is a path", ("env: OPENAI_API_KEY", "file: ../../hunter2"), "E013", (11, 30), "providers.targets[0].secret_key_ref.file", "plain name"),
    case("Y21 ftp", ("https://api", "ftp://api"), "E014", (10, 17), "providers.targets[0].base_url", "https://"),
    case("Y21 file", ("https://api.openai.com", "file:///etc/passwd"), "E014", (10, 17), "providers.targets[0].base_url", "https://"),
    case("Y21 no scheme", ("https://api", "api"), "E014", (10, 17), "providers.targets[0].base_url", "absolute"),
    case("Y21 password", ("https://api", "https://me:hunter2@api"), "E014", (10, 17), "providers.targets[0].base_url", "password"),
    case("Y23 metadata", ("https://api.openai.com", "http://2852039166/"), "E015", (10, 17), "providers.targets[0].base_url", "169.254.169.254"),
    case("Y35 no unit", ("60s", "5"), "E016", (12, 16), "providers.targets[0].timeout", "500ms, 60s, 2m or 1h"),
    case("Y35 blank", ("60s", "5 m"), "E016", (12, 16), "providers.targets[0].timeout", "accepted"),
    case("Y35 negative", ("60s", "-5s"), "E016", (12, 16), "providers.targets[0].timeout", "accepted"),
    case("Y35 too long", ("60s", "99999h"), "E016", (12, 16), "providers.targets[0].timeout", "1ms to 1h"),
    case("Y35 two parts", ("60s", "1h30"), "E016", (12, 16), "providers.targets[0].timeout", "accepted"),
    case("Y33 look-around", ("ignore\\s+all", "(?=x)"), "E017", (19, 35), "policy.prompt-injection.detection.attack_patterns[0]", "look-around"),
    case("Y33 back-reference", ("ignore\\s+all", "(a)\\1"), "E017", (19, 35), "policy.prompt-injection.detection.attack_patterns[0]", "backreferences"),
    case("Y33 too big", ("ignore\\s+all", "a{1000}{1000}"), "E017", (19, 35), "policy.prompt-injection.detection.attack_patterns[0]", "too big"),
    case("Y33 empty", ("ignore\\s+all", ""), "E017", (19, 35), "policy.prompt-injection.detection.attack_patterns[0]", "1 to 4096"),
    case("Y33 matches the empty text", ("ignore\\s+all", ".*"), "E017", (19, 35), "policy.prompt-injection.detection.attack_patterns[0]", "empty text"),
    case("bad pattern by label", ("E[0-9]{6}", "E["), "E017", (23, 33), "policy.pii-detector.detect_patterns.EMPLOYEE", "does not compile"),
    case("bad label", ("EMPLOYEE:", "employee:"), "E006", (23, 23), "policy.pii-detector.detect_patterns.employee", "EMAIL or EMPLOYEE_ID"),
    case("block without a mapping", ("audit-logger: {}", "audit-logger:"), "E005", (25, 3), "policy.audit-logger", "`{}`"),
    case("bad action", ("action: redact", "action: mask"), "E006", (21, 13), "policy.pii-detector.action", "redact or block"),
    case("bad mode", ("mode: enforce", "mode: off"), "E006", (17, 11), "policy.prompt-injection.mode", "enforce or shadow"),
    case("unquoted colon", ("message: no", "message: a: b"), "E023", (18, 41), "", "check"),
    case("unquoted colon in a block", ("local-dev", "local: dev"), "E023", (2, 14), "", "quote the value"),
    case("Y3 tab", ("  name", "\tname"), "E023", (2, 2), "", "spaces"),
    case("Y3 unclosed quote", ("audit-logger: {}", "audit-logger: \"{}"), "E023", (25, 17), "", "never closed"),
    case("Y3 unclosed bracket", ("{}", "{"), "E023", (25, 17), "", "never closed"),
    case("Y5 two documents", ("providers:", "---\nproviders:"), "E024", (5, 1), "", "exactly one document"),
    case("Y5 text after the end", ("providers:", "...\nproviders:"), "E024", (6, 1), "", "exactly one document"),
    case("duplicate key", ("version: 0.1.0", "name: x\n  version: 0.1.0"), "E025", (3, 3), "", "line 2"),
    case("anchor", ("name: local-dev", "name: &a local-dev"), "E026", (2, 9), "", "anchor"),
    case("alias", ("name: local-dev", "name: *a"), "E026", (2, 9), "", "alias"),
    case("merge key", ("name: local-dev", "<<: {}\n  name: x"), "E026", (2, 3), "", "merge key"),
    case("tag", ("name: local-dev", "name: !!python/object/apply:os.system x"), "E027", (2, 9), "", "tag"),
    case("escaped control character", ("message: no", "message: \"a\\u001b[31m\""), "E028", (18, 40), "", "U+001B"),
    case("escaped NUL", ("message: no", "message: \"a\\0\""), "E028", (18, 40), "", "U+0000"),
    case("escaped bidi", ("message: no", "message: \"a\\u202e\""), "E028", (18, 40), "", "U+202E"),
    case("raw bidi", ("message: no", "message: a\u{202e}"), "E028", (18, 41), "", "U+202E"),
    case("raw control character", ("message: no", "message: 'a\u{7}'"), "E028", (18, 42), "", "U+0007"),
    case("BOM inside", ("message: no", "message: a\u{feff}"), "E028", (18, 41), "", "start of the file only"),
    case("deep", ("message: no", "message: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"), "E029", (18, 71), "", "deeper than 32"),
    case("unused block", (", audit-logger]", "]"), "W001", (25, 3), "policy.audit-logger", "no effect"),
    case("Y21 plain http", ("https://api", "http://api"), "W002", (10, 17), "providers.targets[0].base_url", "https://"),
    case("Y33 matches anything", ("ignore\\s+all", "(?s)."), "W003", (19, 35), "policy.prompt-injection.detection.attack_patterns[0]", "every request"),
    case("budget too small", ("audit-logger]", "audit-logger]\n  budget: 0ms"), "E016", (15, 11), "policies.budget", "from 1ms to 10s"),
    case("budget too large", ("audit-logger]", "audit-logger]\n  budget: 11s"), "E016", (15, 11), "policies.budget", "from 1ms to 10s"),
    case("kind that needs a block", ("audit-logger]", "rate-limit]"), "E004", (14, 43), "policy.rate-limit", "add a block `rate-limit:`"),
    case("dlp: nothing to look for", (LAST, "dlp-filter: {action: redact}"), "E004", (25, 15), "policy.dlp-filter", "blocked_terms"),
    case("dlp: bad action", (LAST, "dlp-filter: {action: mask, blocked_terms: [falcon]}"), "E006", (25, 24), "policy.dlp-filter.action", "block or redact"),
    case("dlp: term of signs", (LAST, "dlp-filter: {blocked_terms: [falcon, '--']}"), "E006", (25, 40), "policy.dlp-filter.blocked_terms[1]", "detect_patterns"),
    case("dlp: term that is a number", (LAST, "dlp-filter: {blocked_terms: [4711]}"), "E005", (25, 32), "policy.dlp-filter.blocked_terms[0]", "quote it: \"4711\""),
    case("dlp: terms no list", (LAST, "dlp-filter: {blocked_terms: falcon}"), "E005", (25, 31), "policy.dlp-filter.blocked_terms", "a list"),
    case("dlp: bad pattern", (LAST, "dlp-filter: {detect_patterns: {TICKET: '['}}"), "E017", (25, 42), "policy.dlp-filter.detect_patterns.TICKET", "does not compile"),
    case("limit: none", (LAST, "rate-limit: {limits: []}"), "E006", (25, 24), "policy.rate-limit.limits", "at least one"),
    case("limit: no limits", (LAST, "rate-limit: {}"), "E004", (25, 15), "policy.rate-limit.limits", "required"),
    case("limit: no key", (LAST, "rate-limit: {limits: [{requests: 1}]}"), "E004", (25, 25), "policy.rate-limit.limits[0].key", "required"),
    case("limit: of nothing", (LAST, "rate-limit: {limits: [{key: ip}]}"), "E004", (25, 25), "policy.rate-limit.limits[0]", "`tokens:`"),
    case("limit: unknown key", (LAST, "rate-limit: {limits: [{key: consumers, requests: 1}]}"), "E006", (25, 31), "policy.rate-limit.limits[0].key", "did you mean `consumer`?"),
    case("limit: reserved header", (LAST, "rate-limit: {limits: [{key: 'header:X-KT-Team', requests: 1}]}"), "E006", (25, 31), "policy.rate-limit.limits[0].key", "x-consumer"),
    case("limit: no header", (LAST, "rate-limit: {limits: [{key: 'header:', requests: 1}]}"), "E006", (25, 31), "policy.rate-limit.limits[0].key", "x-consumer"),
    case("limit: zero", (LAST, "rate-limit: {limits: [{key: ip, requests: 0}]}"), "E006", (25, 45), "policy.rate-limit.limits[0].requests", "from 1 to"),
    case("limit: fraction", (LAST, "rate-limit: {limits: [{key: ip, tokens: 1.5}]}"), "E006", (25, 43), "policy.rate-limit.limits[0].tokens", "digits only"),
    case("limit: text", (LAST, "rate-limit: {limits: [{key: ip, tokens: many}]}"), "E005", (25, 43), "policy.rate-limit.limits[0].tokens", "a whole number"),
    case("limit: window too long", (LAST, "rate-limit: {limits: [{key: ip, tokens: 1, window: 25h}]}"), "E016", (25, 54), "policy.rate-limit.limits[0].window", "from 1s to 24h"),
    case("limit: window too short", (LAST, "rate-limit: {limits: [{key: ip, tokens: 1, window: 999ms}]}"), "E016", (25, 54), "policy.rate-limit.limits[0].window", "from 1s to 24h"),
    case("limit: twice", (LAST, "rate-limit: {limits: [{key: ip, tokens: 1}, {key: ip, requests: 1, tokens: 2, window: 60s}]}"), "E006", (25, 47), "policy.rate-limit.limits[1]", "limit 0 counts the tokens of `ip` in 1m already"),
    case("access: no rules", (LAST, "model-access: {default: allow}"), "E004", (25, 17), "policy.model-access.rules", "required"),
    case("access: bad default", (LAST, "model-access: {default: maybe, rules: [{consumers: [a]}]}"), "E006", (25, 27), "policy.model-access.default", "allow or deny"),
    case("access: nobody", (LAST, "model-access: {rules: [{consumers: []}]}"), "E006", (25, 38), "policy.model-access.rules[0].consumers", "`*` for all"),
    case("access: empty allow", (LAST, "model-access: {rules: [{consumers: [a], models: {allow: []}}]}"), "E006", (25, 51), "policy.model-access.rules[0].models", "deny: ['*']"),
    case("access: bad header", (LAST, "model-access: {consumer_header: x consumer, rules: [{consumers: [a]}]}"), "E006", (25, 35), "policy.model-access.consumer_header", "your ingress sets"),
    case("access: target misspelled", (LAST, "model-access: {rules: [{consumers: [a], targets: {allow: [frist]}}]}"), "W006", (25, 61), "policy.model-access.rules[0].targets.allow[0]", "did you mean `first`?"),
    case("access: rule that never decides", (LAST, "model-access: {rules: [{consumers: [b, 'team-*']}, {consumers: [team-a*]}]}"), "W007", (25, 54), "policy.model-access.rules[1]", "rule 0"),
    case("reserved header", ("timeout: 60s", "api_key_header: Host"), "E006", (12, 23), "providers.targets[0].api_key_header", "x-api-key"),
];

fn lint(source: &str) -> (bool, Vec<Finding>) {
    let (config, report) = PolicyDocument::new(source).parse();
    (config.is_some(), report.findings)
}

#[test]
fn the_good_pack_is_good() {
    let (valid, findings) = lint(&GOOD.replace("message: no", "message: 'no'"));
    assert!(valid && findings.is_empty(), "{findings:?}");
    let (valid, findings) = lint(GOOD);
    assert!(valid && findings.is_empty(), "{findings:?}");
}

#[test]
fn every_row_gets_its_finding() {
    let mut missing = Vec::new();
    for Case { name, edit: (from, to), code, at, path, says } in CASES {
        assert!(GOOD.contains(from), "{name}: nothing to edit");
        let source = GOOD.replacen(from, to, 1);
        let (valid, findings) = lint(&source);
        let found = findings.iter().find(|finding| {
            finding.code == *code
                && (finding.location.line, finding.location.column) == *at
                && finding.path == *path
        });
        let Some(found) = found else {
            missing.push(format!("{name}: expected {code} at {at:?} `{path}`, got {findings:?}"));
            continue;
        };
        let text = format!("{} · {}", found.message, found.suggestion);
        if !text.contains(says) {
            missing.push(format!("{name}: expected the words `{says}`, got {text}"));
        }
        assert_eq!(valid, found.severity == Severity::Warning, "{name}");
        for finding in &findings {
            let all = format!("{finding:?}");
            assert!(!all.contains("hunter2"), "{name}: a secret is repeated: {all}");
            assert!(!all.chars().any(|c| c.is_control() || c == '\u{202e}'), "{name}: raw control character");
            assert!(
                finding.message.len() < 1200 && !finding.message.ends_with('.'),
                "{name}: {}",
                finding.message
            );
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn findings_come_all_at_once_and_in_the_order_of_the_file() {
    let source = GOOD
        .replace("enabled: true", "enabled: yes")
        .replace("provider: openai", "provider: opnai")
        .replace("60s", "60")
        .replace("{}", "{bogus: 1}")
        .replace("name: local-dev", "name: &a local-dev");
    let (_, findings) = lint(&source);
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["E026", "E005", "E007", "E016", "E002"]);
    assert!(findings.is_sorted_by_key(|finding| finding.location));
}

#[test]
fn whole_files() {
    let too_many = format!("{GOOD}x: [{}]", "1,".repeat(500));
    let many_patterns = GOOD.replace("['ignore\\s+all']", &format!("[{}]", "'abc',".repeat(501)));
    let no_target =
        GOOD.replacen(&GOOD[GOOD.find("    - id").unwrap()..GOOD.find("policies:").unwrap()], "    []\n", 1);
    let log_first = GOOD
        .replace("pii-detector, audit-logger]", "audit-logger, pii-detector]")
        .replace("audit-logger: {}", "audit-logger: {include_content: true}");
    let many_findings: String = (0..600).map(|index| format!("key{index}: 1\n")).collect();
    let long_scalar = format!("x: {}", "a".repeat(64 * 1024 + 1));
    let many_terms = format!("dlp-filter: {{blocked_terms: [{}]}}", "'a long secret name',".repeat(120));
    let many_terms = GOOD.replace("audit-logger: {}", &many_terms);
    let big_nodes = format!("x: [{}]", "1,".repeat(20_001));
    #[rustfmt::skip]
    let rows: &[(&str, &[u8], &str, u32, &str)] = &[
        ("Y1 empty", b"", "E020", 0, "empty"),
        ("Y1 blank", b" \n\n", "E020", 0, "empty"),
        ("Y1 comments", b"# nothing\n", "E020", 1, "comments"),
        ("Y1 null", b"null", "E005", 1, "expected a mapping with pack, providers, policies"),
        ("Y1 a list", b"- a\n", "E005", 1, "expected a mapping with pack, providers, policies"),
        ("Y1 a scalar", b"hello", "E005", 1, "expected a mapping with pack, providers, policies"),
        ("Y11 too big", &vec![b'#'; 257 * 1024], "E021", 0, "263168 bytes"),
        ("Y11 scalar", long_scalar.as_bytes(), "E031", 1, "65537"),
        ("Y11 nodes", big_nodes.as_bytes(), "E030", 1, "20000"),
        ("Y11 rules", many_patterns.as_bytes(), "E018", 19, "501"),
        ("many terms", many_terms.as_bytes(), "E006", 25, "2160 characters"),
        ("not UTF-8", b"pack: \xff", "E022", 0, "byte 7"),
        ("Y17 no target", no_target.as_bytes(), "E011", 7, "nowhere to go"),
        ("Y31 logger first", log_first.as_bytes(), "W004", 14, "last"),
        ("many findings", many_findings.as_bytes(), "E032", 500, "more findings"),
        ("unknown list", too_many.as_bytes(), "E002", 26, "unknown key"),
        ("directive", b"%YAML 1.2\n---\na: 1\n", "E023", 1, "directive"),
    ];
    for (name, source, code, line, says) in rows {
        let (config, report) = PolicyDocument::new(*source).parse();
        assert_eq!(config.is_none(), *code != "W004", "{name}");
        let found = report.findings.iter().find(|finding| finding.code == *code);
        let Some(found) = found else { panic!("{name}: {:?}", report.findings) };
        assert_eq!(found.location.line, *line, "{name}: {found:?}");
        assert!(format!("{} {}", found.message, found.suggestion).contains(says), "{name}: {found:?}");
    }
}

#[test]
fn a_marker_that_nothing_asks_for_is_warned_about() {
    let (one, own) = ("{EMAIL: <mail>}", "{EMIAL: <mail>, EMPLOYE: <id>, PASSPORT: <p>, PHONE: <tel>}");
    assert!(GOOD.contains(one) && GOOD.contains("EMPLOYEE:"));
    let (config, report) = PolicyDocument::new(GOOD.replace(one, own)).parse();
    assert!(config.is_some());
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            (finding.code.as_str(), finding.path.rsplit('.').next().unwrap(), &*finding.suggestion)
        })
        .collect();
    let accepted = "accepted: EMAIL, IBAN, CREDIT_CARD, MRN, NPI, SSN, IP_ADDRESS, PHONE, EMPLOYEE";
    let expected = [
        ("W005", "EMIAL", "did you mean `EMAIL`?"),
        ("W005", "EMPLOYE", "did you mean `EMPLOYEE`?"),
        ("W005", "PASSPORT", accepted),
    ];
    assert_eq!(found, expected);
}

#[test]
fn other_ways_to_write_a_good_pack() {
    let base = GOOD.replace("message: no", "message: 'no'");
    for (name, source) in [
        ("BOM", format!("\u{feff}{base}")),
        ("CRLF", base.replace('\n', "\r\n")),
        ("BOM and CRLF", format!("\u{feff}{}", base.replace('\n', "\r\n"))),
        ("document markers", format!("---\n{base}...\n")),
        ("no last line feed", base.trim_end().to_owned()),
        ("comments", base.replace("pack:", "# a pack\npack: # this one\n")),
        ("Y41 JSON", JSON.to_owned()),
    ] {
        let (valid, findings) = lint(&source);
        assert!(valid && findings.is_empty(), "{name}: {findings:?}");
    }
}

const JSON: &str = r#"{"pack": {"name": "json", "version": "1.0.0", "enabled": false},
 "providers": {"targets": [{"id": "a", "provider": "openai-compatible", "model": "*", "base_url": "http://localhost:8000/v1"}]},
 "policies": {"chain": ["audit-logger"]}, "policy": {"audit-logger": {}}}"#;

#[test]
fn every_rule_has_a_row() {
    let here = include_str!("lint_cases.rs");
    let changes = include_str!("changes.rs");
    let golden = include_str!("../../policy-engine/src/golden.rs");
    for rule in RULES {
        let quoted = format!("\"{}\"", rule.code);
        let texts = [here, changes, golden];
        assert!(texts.iter().any(|text| text.contains(&quoted)), "no case for {}", rule.code);
    }
    assert!(CASES.iter().any(|case| case.path.starts_with(TARGET)));
}

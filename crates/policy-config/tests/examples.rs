//! The packs in `examples/` answer as the contract says.

use policy_config::document::PolicyDocument;
use policy_config::lint::excerpt::excerpt;
use policy_config::{ConfigDigest, Severity};

const VALID: &str = include_str!("../../../examples/policy-config.yaml");
const NEXT: &str = include_str!("../../../examples/policy-config-0.1.1.yaml");
const UNQUOTED: &str = include_str!("../../../examples/policy-config-unquoted.yaml");

#[test]
fn the_valid_packs_have_no_findings() {
    for source in [VALID, NEXT] {
        let document = PolicyDocument::new(source);
        let (config, report) = document.parse();
        assert_eq!(report.findings, [], "{source}");
        assert_eq!(config.expect("a config").pack.name.as_str(), "local-dev");
        assert_eq!(document.digest(), ConfigDigest::of(source.as_bytes()));
    }
}

#[test]
fn the_unquoted_message_is_found_where_it_stands() {
    let (config, report) = PolicyDocument::new(UNQUOTED).parse();
    assert_eq!(config, None);
    let [finding] = report.findings.as_slice() else { panic!("{:?}", report.findings) };
    assert_eq!(finding.severity, Severity::Error);
    assert_eq!(finding.code, "E023");
    // The column of the inner colon: `      message: Request blocked: potential …`.
    assert_eq!((finding.location.line, finding.location.column), (21, 31));
    assert!(finding.suggestion.contains("quote the value"), "{}", finding.suggestion);
    let excerpt = excerpt(UNQUOTED.as_bytes(), finding).expect("an excerpt");
    assert_eq!(excerpt.text, "      message: Request blocked: potential prompt injection detected");
    assert_eq!(excerpt.start, 30);
}

#[test]
fn what_stands_behind_an_unquoted_value_is_read_as_well() {
    let source =
        UNQUOTED.replace("  audit-logger: {}", "  audit-loger: {}").replace("enabled: true", "enabled: yes");
    let codes: Vec<_> = PolicyDocument::new(source)
        .parse()
        .1
        .findings
        .into_iter()
        .map(|finding| (finding.location.line, finding.code))
        .collect();
    let expected = [(4, "E005"), (16, "E003"), (21, "E023"), (22, "E001")];
    assert_eq!(codes, expected.map(|(line, code)| (line, code.to_owned())));
}

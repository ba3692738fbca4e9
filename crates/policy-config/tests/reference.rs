//! The reference pages say what the code does.

use policy_config::document::PolicyDocument;
use policy_config::lint::rules::RULES;

const LINT: &str = include_str!("../../../docs/reference/lint.md");
const PACK: &str = include_str!("../../../docs/reference/pack.md");

#[test]
fn every_rule_is_in_the_table_and_has_a_section_in_the_same_order() {
    let rows: Vec<&str> = LINT.lines().filter(|line| line.starts_with("| [")).collect();
    let expected: Vec<String> = RULES
        .iter()
        .map(|rule| {
            let anchor = rule.code.to_lowercase();
            format!("| [{}](#{anchor}) | {} | {} |", rule.code, rule.severity, rule.title)
        })
        .collect();
    assert_eq!(rows, expected);
    let sections: Vec<&str> = LINT.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let codes: Vec<&str> = RULES.iter().map(|rule| rule.code).collect();
    assert_eq!(sections, codes);
}

#[test]
fn codes_are_unique() {
    for (index, rule) in RULES.iter().enumerate() {
        assert!(RULES.iter().skip(index + 1).all(|other| other.code != rule.code), "{}", rule.code);
    }
}

#[test]
fn the_pack_on_the_page_is_valid() {
    let yaml = PACK.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a pack");
    let (config, report) = PolicyDocument::new(yaml).parse();
    assert!(config.is_some() && report.findings.is_empty(), "{report:?}");
}

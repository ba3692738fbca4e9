//! `kt policy diff`

use serde_json::json;
use tests::kt::Kt;

const PACK: &str = include_str!("../../examples/policy-config-0.1.1.yaml");

fn pair(to: &str) -> Kt {
    let kt = Kt::new();
    kt.file("a.yaml", PACK);
    kt.file("b.yaml", to);
    kt
}

#[test]
fn what_changes_by_section_with_its_risks() {
    let to = PACK
        .replace("0.1.1", "0.1.2")
        .replace("https://api.openai.com", "https://proxy.example")
        .replace("    action: redact", "    mode: shadow");
    let kt = pair(&to);
    insta::assert_snapshot!(kt.run(&["policy", "diff", "a.yaml", "b.yaml"]), @r#"
    exit 0
    --- stdout
    pack:
    - pack.version: "0.1.1"
    + pack.version: "0.1.2"
    providers:
    - providers.targets[openai-primary].base_url: "https://api.openai.com"
    + providers.targets[openai-primary].base_url: "https://proxy.example"
    policy:
    - policy.pii-detector.mode: enforce
    + policy.pii-detector.mode: shadow

    error[R002]: `pii-detector` goes from enforce to shadow; it records and changes nothing
      --> b.yaml:24:5
       |
    24 |     mode: shadow
       |     ^^^^
       |
       = help: keep it enforcing, or accept the risk

    error[R004]: the secret env OPENAI_API_KEY was sent to https://api.openai.com and now goes to https://proxy.example as well or instead
      --> b.yaml:10:7
       |
    10 |       base_url: https://proxy.example
       |       ^^^^^^^^
       |
       = help: use a secret of its own for a new host, or accept the risk
    "#);
    let said = kt.run(&["policy", "diff", "a.yaml", "b.yaml", "--json"]).ok().json();
    assert_eq!(said["from"]["version"], "0.1.1");
    assert_eq!(said["to"]["file"], "b.yaml");
    assert_eq!(said["sections"][0]["section"], "pack");
    assert_eq!(
        said["sections"][0]["lines"],
        json!(["- pack.version: \"0.1.1\"", "+ pack.version: \"0.1.2\""])
    );
    let codes: Vec<_> =
        said["risks"].as_array().expect("risks").iter().map(|risk| risk["code"].clone()).collect();
    assert_eq!(codes, ["R002", "R004"]);
    assert_eq!((&said["risks"][0]["line"], &said["risks"][0]["column"]), (&json!(24), &json!(5)));
}

#[test]
fn form_alone_is_no_change() {
    let kt = pair(&format!("# a comment\n{}", PACK.replace("    action: redact", "    action: \"redact\"")));
    insta::assert_snapshot!(kt.run(&["policy", "diff", "a.yaml", "b.yaml"]), @r#"
    exit 0
    --- stdout
    no effective change
    "#);
    let said = kt.run(&["policy", "diff", "a.yaml", "b.yaml", "--json"]).ok().json();
    assert_eq!(
        (&said["sections"], &said["risks"], &said["tests_differ"]),
        (&json!([]), &json!([]), &json!(false))
    );
    let suites = "testing: {suites: [{name: a, cases: [{name: b, input: {messages: [{role: user}]}, expected: {verdict: allow}}]}]}\n";
    let kt = pair(&format!("{PACK}{suites}"));
    insta::assert_snapshot!(kt.run(&["policy", "diff", "a.yaml", "b.yaml"]), @r#"
    exit 0
    --- stdout
    no effective change; the tests in the pack differ
    "#);
}

#[test]
fn standard_input_may_be_one_of_them() {
    let kt = pair("");
    let other = PACK.replace("0.1.1", "0.2.0");
    let said = kt.run_with_input(&["policy", "diff", "-", "a.yaml"], other.as_bytes()).ok();
    assert!(said.stdout.contains("- pack.version: \"0.2.0\"\n+ pack.version: \"0.1.1\""), "{said}");
    assert_eq!(kt.run(&["policy", "diff", "-", "-"]).code, 2);
}

#[test]
fn a_file_that_is_not_valid_or_not_there() {
    let kt = pair("pack: 1\n");
    let said = kt.run(&["policy", "diff", "a.yaml", "b.yaml", "--json"]);
    assert_eq!((said.code, &said.error()["field"]), (2, &json!("B")), "{said}");
    assert_eq!(said.error()["findings"][0]["code"], "E004");
    let said = kt.run(&["policy", "diff", "b.yaml", "a.yaml"]);
    assert!(said.code == 2 && said.stderr.contains("b.yaml:1:"), "{said}");
    assert_eq!(kt.run(&["policy", "diff", "a.yaml", "nowhere.yaml"]).code, 3);
    assert_eq!(kt.run(&["policy", "diff", "a.yaml"]).code, 2);
}

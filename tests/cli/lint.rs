//! `kt policy lint`

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use tests::kt::Kt;

fn example(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    path.canonicalize().expect("an example").to_string_lossy().into_owned()
}

#[test]
fn a_valid_pack() {
    let kt = Kt::new();
    std::fs::copy(example("policy-config.yaml"), kt.home().join("policy-config.yaml")).expect("a copy");
    insta::assert_snapshot!(kt.run(&["policy", "lint", "--file", "policy-config.yaml"]), @r#"
    exit 0
    --- stdout
    policy-config.yaml: valid: local-dev 0.1.0, 2 policies
    "#);
    insta::assert_snapshot!(kt.run(&["policy", "lint", "--file", "policy-config.yaml", "--json"]), @r#"
    exit 0
    --- stdout
    {
      "valid": true,
      "file": "policy-config.yaml",
      "pack": {
        "name": "local-dev",
        "version": "0.1.0"
      },
      "chain": [
        "prompt-injection",
        "audit-logger"
      ],
      "policy_count": 2,
      "warnings": []
    }
    "#);
}

#[test]
fn a_file_that_is_too_large_is_told_its_size() {
    let kt = Kt::new();
    let large = std::fs::File::create(kt.home().join("large.yaml")).expect("a file");
    large.set_len(300_000).expect("a size");
    for command in
        [["policy", "lint", "--file", "large.yaml"], ["policy", "diff", "large.yaml", "large.yaml"]]
    {
        let said = kt.run(&command);
        assert_eq!(said.code, 2, "{said}");
        let size = "the file has 300000 bytes; the limit is 262144 (256 KiB)";
        assert!(said.to_string().contains(size), "{said}");
    }
}

#[test]
fn every_example_answers() {
    let kt = Kt::new();
    for entry in std::fs::read_dir(example(".")).expect("examples").flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let file = path.to_string_lossy().into_owned();
            let expected = if file.contains("unquoted") { 2 } else { 0 };
            let said = kt.run(&["policy", "lint", "--file", &file, "--json"]);
            assert_eq!(said.code, expected, "{said}");
            assert_eq!(said.json()["valid"], expected == 0, "{said}");
            assert_eq!(said.json()["file"], file.as_str());
            assert_eq!(said.stderr, "");
        }
    }
}

#[test]
fn an_unquoted_colon_is_shown_with_its_place() {
    let kt = Kt::new();
    std::fs::copy(example("policy-config-unquoted.yaml"), kt.home().join("p.yaml")).expect("a copy");
    insta::assert_snapshot!(kt.run(&["policy", "lint", "--file", "p.yaml"]), @r#"
    exit 2
    --- stdout
    error[E023]: the value holds an unquoted `: `, which YAML reads as the end of another key
      --> p.yaml:21:31
       |
    21 |       message: Request blocked: potential prompt injection detected
       |                               ^
       |
       = help: quote the value: message: "…"
    --- stderr
    error: p.yaml:21:31: the pack is not valid: 1 error
    "#);
    let said = kt.run(&["policy", "lint", "--file", "p.yaml", "--json"]);
    let error = &said.json()["errors"][0];
    assert_eq!((error["line"].as_u64(), error["column"].as_u64()), (Some(21), Some(31)), "{said}");
}

#[test]
fn every_finding_at_once() {
    let kt = Kt::new();
    let pack = "\
pack:
  name: local-dev
  version: 0.1
  enabeld: true
providers:
  targets:
    - id: a
      provider: opnai
      model: gpt
      base_url: https://api.openai.com
policies:
  chain: [prompt-injecton]
";
    kt.file("bad.yaml", pack);
    insta::assert_snapshot!(kt.run(&["policy", "lint", "--file", "bad.yaml"]), @r#"
    exit 2
    --- stdout
    error[E004]: `pack.enabled` is required
     --> bad.yaml:2:3
      |
    2 |   name: local-dev
      |   ^^^^
      |
      = help: add `enabled:`

    error[E006]: `0.1` is no pack version: a pack version is MAJOR.MINOR.PATCH with an optional -prerelease, as 0.1.0
     --> bad.yaml:3:12
      |
    3 |   version: 0.1
      |            ^^^
      |
      = help: write three numbers, as 0.1.0 or 1.2.0-rc.1

    error[E002]: unknown key `enabeld` in `pack`
     --> bad.yaml:4:3
      |
    4 |   enabeld: true
      |   ^^^^^^^
      |
      = help: did you mean `enabled`?

    error[E007]: unknown provider `opnai`; known: openai, openai-compatible, azure-openai, anthropic
     --> bad.yaml:8:17
      |
    8 |       provider: opnai
      |                 ^^^^^
      |
      = help: did you mean `openai`?

    error[E001]: unknown policy kind `prompt-injecton`; known: prompt-injection, pii-detector, dlp-filter, rate-limit, model-access, audit-logger
      --> bad.yaml:12:11
       |
    12 |   chain: [prompt-injecton]
       |           ^^^^^^^^^^^^^^^
       |
       = help: did you mean `prompt-injection`?
    --- stderr
    error: bad.yaml:2:3: the pack is not valid: 5 errors
    "#);
}

#[test]
fn standard_input() {
    let kt = Kt::new();
    let pack = std::fs::read(example("policy-config-0.1.1.yaml")).expect("an example");
    insta::assert_snapshot!(kt.run_with_input(&["policy", "lint", "--file", "-"], &pack), @r#"
    exit 0
    --- stdout
    <stdin>: valid: local-dev 0.1.1, 3 policies
    "#);
    insta::assert_snapshot!(kt.run_with_input(&["policy", "lint", "--file", "-"], b""), @r#"
    exit 2
    --- stdout
    error[E020]: the file is empty
    --> <stdin>
     = help: a pack is a mapping with pack, providers, policies and policy
    --- stderr
    error: <stdin>: the pack is not valid: 1 error
    "#);
}

#[test]
fn what_is_no_policy_file() {
    let kt = Kt::new();
    insta::assert_snapshot!(kt.run(&["policy", "lint", "--file", "missing.yaml"]), @r#"
    exit 3
    --- stderr
    error: `missing.yaml` does not exist
      hint: check the path; it is resolved from the current directory
    "#);
    insta::assert_snapshot!(kt.run(&["policy", "lint", "--file", "."]), @r#"
    exit 2
    --- stderr
    error: `.` is a directory
      hint: name the policy file in it
    "#);
    nix::unistd::mkfifo(&kt.home().join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    insta::assert_snapshot!(kt.run(&["policy", "lint", "--file", "pipe"]), @r#"
    exit 2
    --- stderr
    error: `pipe` is not a regular file
      hint: pipe the text to `-` instead
    "#);
    insta::assert_snapshot!(kt.run(&["policy", "lint", "--file", "missing.yaml", "--json"]), @r#"
    exit 3
    --- stderr
    {"error":{"code":"file_not_found","message":"`missing.yaml` does not exist","field":"--file","hint":"check the path; it is resolved from the current directory"}}
    "#);
}

#[test]
fn bytes_that_are_no_text_and_files_without_end() {
    let kt = Kt::new();
    kt.file("latin.yaml", b"pack: \xe4\n");
    let said = kt.run(&["policy", "lint", "--file", "latin.yaml", "--json"]);
    assert_eq!((said.code, said.json()["errors"][0]["line"].as_u64()), (2, Some(0)), "{said}");

    let sparse = std::fs::File::create(kt.home().join("sparse.yaml")).expect("a file");
    sparse.set_len(10 << 30).expect("a sparse file");
    let said = kt.run(&["policy", "lint", "--file", "sparse.yaml", "--json"]);
    assert_eq!((said.code, said.json()["errors"][0]["line"].as_u64()), (2, Some(0)), "{said}");

    let said = kt.run(&["policy", "lint", "--file", "/dev/zero"]);
    assert_eq!(said.code, 2, "{said}");
}

#[test]
fn a_file_name_that_is_no_text() {
    let kt = Kt::new();
    let name = OsString::from_vec(b"p\xff\x1b[31m.yaml".to_vec());
    std::fs::copy(example("policy-config.yaml"), kt.home().join(&name)).expect("a copy");
    let words = [OsString::from("policy"), "lint".into(), "--file".into(), name];
    let said = kt.run(&words).ok();
    assert!(!said.stdout.contains('\u{1b}'), "nothing steers the terminal: {said}");
}

#[test]
fn colour_only_where_somebody_looks() {
    let kt = Kt::new();
    kt.file("bad.yaml", "pack: 1\n");
    let said = kt.run(&["policy", "lint", "--file", "bad.yaml"]);
    assert!(!said.stdout.contains('\u{1b}') && !said.stderr.contains('\u{1b}'), "{said}");
}

//! The shape of a Rust file: short, headed, named, with every lint and test switched on.

const LONGEST: usize = 400;
const LONGEST_TEST: usize = 600;

pub(crate) fn too_long(path: &str, text: &str) -> Vec<String> {
    let limit = if is_test(path) { LONGEST_TEST } else { LONGEST };
    let lines = text.lines().count();
    let generated = text.lines().next().is_some_and(|line| line.contains("@generated"));
    if lines <= limit || generated {
        return Vec::new();
    }
    vec![format!("{path}: {lines} lines, and at most {limit} are held; cut it by reason")]
}

pub(crate) fn no_head(path: &str, text: &str) -> Vec<String> {
    let said = text.lines().next().and_then(|line| line.strip_prefix("//! "));
    if said.is_some_and(|reason| reason.trim().len() > 3) {
        return Vec::new();
    }
    vec![format!("{path}:1: begins with no `//!` that says its one reason to exist")]
}

pub(crate) fn mod_file(path: &str) -> Vec<String> {
    if path.ends_with("/mod.rs") {
        vec![format!("{path}: name it after its module, beside the directory")]
    } else {
        Vec::new()
    }
}

pub(crate) fn silenced(path: &str, text: &str) -> Vec<String> {
    // Put together here, or this file would find itself.
    let words = [concat!("#[al", "low("), concat!("#![al", "low("), concat!("#[ig", "nore")];
    text.lines()
        .enumerate()
        .filter(|(_, line)| words.iter().any(|word| line.trim_start().starts_with(word)))
        .map(|(index, line)| format!("{path}:{}: `{}`; use #[expect] with a reason", index + 1, line.trim()))
        .collect()
}

/// Tests live in `tests/` directories and in files called `tests.rs` beside what they test.
pub(crate) fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

#[test]
fn a_long_file_is_found_and_a_test_may_be_longer() {
    let text = "//! x\n".repeat(401);
    assert_eq!(too_long("kt/src/main.rs", &text).len(), 1);
    assert!(too_long("kt/src/client/tests.rs", &text).is_empty());
    assert!(too_long("kt/src/main.rs", &"//! x\n".repeat(400)).is_empty());
    assert_eq!(too_long("tests/e2e/main.rs", &"//! x\n".repeat(601)).len(), 1);
    assert!(too_long("kt/src/made.rs", &format!("//! @generated\n{text}")).is_empty());
}

#[test]
fn a_missing_or_empty_head_is_found() {
    assert_eq!(no_head("a.rs", "use std::fmt;\n//! Late.\n").len(), 1);
    assert_eq!(no_head("a.rs", "//!\n").len(), 1);
    assert!(no_head("a.rs", "//! Reads the thing.\n").is_empty());
}

#[test]
fn a_mod_file_and_silenced_lints_and_tests_are_found() {
    assert_eq!(mod_file("kt/src/commands/mod.rs").len(), 1);
    assert!(mod_file("kt/src/commands.rs").is_empty());
    let text = concat!("#[al", "low(dead_code)]\nfn a() {}\n    #[ig", "nore = \"slow\"]\n#[expect(x)]\n");
    assert_eq!(silenced("a.rs", text).len(), 2);
}

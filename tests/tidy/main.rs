//! The promises of the repository about its own text: floors, places, shapes, papers. Every check is a
//! function from text to problems, run over the tree here and over bad samples beside its definition.
#![cfg(test)]

mod floors;
mod papers;
mod places;
mod shape;
mod tree;

use tree::Tree;

/// Fails with every problem at once.
fn none(problems: Vec<String>) {
    assert!(problems.is_empty(), "{} problem(s):\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn the_tree_is_really_read() {
    let tree = Tree::read();
    assert!(tree.rust().count() > 50, "only {} Rust files found", tree.rust().count());
    assert!(tree.text("Cargo.toml").contains("[workspace]"));
}

#[test]
fn crates_depend_only_on_the_floors_below() {
    none(Tree::read().manifests().flat_map(|file| floors::edges(&file.text)).collect());
}

#[test]
fn pure_crates_have_no_io_crate() {
    none(Tree::read().manifests().flat_map(|file| floors::impurities(&file.text)).collect());
}

#[test]
fn pure_crates_reach_for_no_file_clock_or_thread() {
    none(Tree::read().rust().flat_map(|file| floors::reaches(&file.path, &file.text)).collect());
}

#[test]
fn every_file_is_short_enough_to_hold() {
    none(Tree::read().rust().flat_map(|file| shape::too_long(&file.path, &file.text)).collect());
}

#[test]
fn every_file_says_its_reason_first() {
    none(Tree::read().rust().flat_map(|file| shape::no_head(&file.path, &file.text)).collect());
}

#[test]
fn no_module_file_is_called_mod() {
    none(Tree::read().rust().flat_map(|file| shape::mod_file(&file.path)).collect());
}

#[test]
fn no_lint_is_silenced_and_no_test_is_skipped() {
    none(Tree::read().rust().flat_map(|file| shape::silenced(&file.path, &file.text)).collect());
}

#[test]
fn no_sql_outside_store() {
    in_their_place("SQL");
}

#[test]
fn only_document_parses_yaml() {
    in_their_place("YAML");
}

#[test]
fn only_live_touches_the_pointer() {
    in_their_place("ArcSwap");
}

#[test]
fn only_status_makes_a_status() {
    in_their_place("tonic::Status");
}

#[test]
fn tasks_are_spawned_only_through_drain() {
    in_their_place("tasks");
}

#[test]
fn only_the_clock_reads_time() {
    in_their_place("wall time");
}

#[test]
fn no_secret_can_be_displayed() {
    in_their_place("shown secrets");
}

fn in_their_place(what: &str) {
    let rule = places::RULES.iter().find(|rule| rule.what == what).expect("a rule of this name");
    none(Tree::read().rust().flat_map(|file| rule.problems(&file.path, &file.text)).collect());
}

#[test]
fn no_machine_path_and_no_private_registry_is_committed() {
    none(Tree::read().files().flat_map(|file| papers::machine_traces(&file.path, &file.text)).collect());
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let tree = Tree::read();
    none(papers::unheld_invariants(tree.text("ARCHITECTURE.md"), |path| tree.find(path)));
}

#[test]
fn the_readmes_commands_are_what_ci_runs() {
    let tree = Tree::read();
    none(papers::commands_not_run(tree.text("README.md"), tree.text(".ci/run")));
}

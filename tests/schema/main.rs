//! The schema that the migrations make, from an empty database, is the one that is committed: a change of it is
//! read in review as a change of `schema.txt`, not guessed from SQL.
#![cfg(test)]

mod catalog;

use std::path::{Path, PathBuf};

use control_plane::store::migrate::MIGRATOR;
use tests::postgres::empty_database;

/// Set it to anything to write the snapshot instead of comparing it.
const UPDATE: &str = "KT_UPDATE_SCHEMA";

#[tokio::test]
async fn the_migrations_make_the_committed_schema() {
    let database = empty_database().await;
    MIGRATOR.run(&database.pool).await.unwrap();
    let made = catalog::describe(&database.pool).await.unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/schema.txt");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let difference = difference(&committed, &made);
    assert!(
        difference.is_empty(),
        "the migrations make another schema than tests/schema/schema.txt; if that is meant, run this test \
         with {UPDATE}=1 and commit the file\n{difference}"
    );
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    let database = empty_database().await;
    MIGRATOR.run(&database.pool).await.unwrap();
    let once = catalog::describe(&database.pool).await.unwrap();
    MIGRATOR.run(&database.pool).await.unwrap();
    assert_eq!(catalog::describe(&database.pool).await.unwrap(), once);
}

#[test]
fn every_migration_file_is_embedded_and_the_numbers_have_no_gap() {
    let mut files: Vec<String> = std::fs::read_dir(migrations())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sql"))
        .collect();
    files.sort();
    let embedded: Vec<String> = MIGRATOR
        .iter()
        .map(|migration| format!("{:04}_{}.sql", migration.version, migration.description.replace(' ', "_")))
        .collect();
    assert_eq!(files, embedded);
    let numbers: Vec<i64> = MIGRATOR.iter().map(|migration| migration.version).collect();
    assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());
}

#[test]
fn migrations_only_go_forward() {
    assert!(MIGRATOR.iter().all(|migration| migration.migration_type.is_up_migration()));
}

#[test]
fn a_difference_shows_the_lines_that_came_and_went() {
    assert_eq!(difference("a\nb\n", "a\nc\n"), "- b\n+ c");
    assert_eq!(difference("a\n", "a\n"), "");
}

fn migrations() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("migrations")
}

/// Lines of one text only. The snapshot is sorted and its lines are whole facts, so their order says nothing.
fn difference(old: &str, new: &str) -> String {
    let gone =
        old.lines().filter(|line| !new.lines().any(|other| other == *line)).map(|line| format!("- {line}"));
    let come =
        new.lines().filter(|line| !old.lines().any(|other| other == *line)).map(|line| format!("+ {line}"));
    gone.chain(come).collect::<Vec<_>>().join("\n")
}

//! The harness keeps its own promises: databases are separate, a wait that fails tells what it saw.
#![cfg(test)]

use std::cell::Cell;
use std::time::Duration;

use sqlx::migrate::Migrator;
use tests::eventually::eventually;
use tests::postgres::{database, empty_database};

async fn migrator(directory: &std::path::Path) -> Migrator {
    std::fs::write(directory.join("0001_things.sql"), "create table things (name text primary key);")
        .unwrap();
    Migrator::new(directory).await.unwrap()
}

#[tokio::test]
async fn each_test_has_a_migrated_database_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let migrator = migrator(directory.path()).await;
    let (one, two) = tokio::join!(database(&migrator), database(&migrator));
    sqlx::query("insert into things values ('one')").execute(&one.pool).await.unwrap();
    let count: i64 = sqlx::query_scalar("select count(*) from things").fetch_one(&two.pool).await.unwrap();
    assert_eq!(count, 0);

    let by_url = sqlx::PgPool::connect(&one.url).await.unwrap();
    let name: String = sqlx::query_scalar("select name from things").fetch_one(&by_url).await.unwrap();
    assert_eq!(name, "one");
}

#[tokio::test]
async fn an_empty_database_has_no_tables() {
    let database = empty_database().await;
    let tables: i64 = sqlx::query_scalar("select count(*) from pg_tables where schemaname = 'public'")
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(tables, 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_returns_the_value_of_the_condition() {
    let looks = Cell::new(0);
    let value = eventually("three looks", Duration::from_secs(10), || async {
        looks.set(looks.get() + 1);
        if looks.get() == 3 { Ok("there") } else { Err(looks.get()) }
    });
    assert_eq!(value.await, "there");
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "not within 1s: the moon; last status: \"new\"")]
async fn a_wait_in_vain_tells_the_last_status() {
    eventually("the moon", Duration::from_secs(1), || async { Err::<(), _>("new") }).await;
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "the first look never returned")]
async fn a_look_that_hangs_does_not_hang_the_test() {
    eventually("an answer", Duration::from_secs(1), std::future::pending::<Result<(), ()>>).await;
}

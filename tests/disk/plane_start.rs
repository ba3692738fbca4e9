//! What can be wrong when a control plane starts: each is one sentence with what to do and an exit code, and no
//! password is ever in it.
#![cfg(test)]

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use control_plane::store::migrate::MIGRATOR;
use pg_private::{Cluster, Options};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use tests::kt::fresh_binary;
use tests::postgres::database;
use tests::process::Process;
use tests::programs::{PlaneProgram, passable_dir};

use crate::support::PATIENCE;

const PASSWORD: &str = "hunter2";
const ALLOW: (&str, &str) = ("KT_ALLOW_UNSAFE_DATABASE", "1");

/// Runs the program to its end with this database and these variables.
async fn refused(url: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let dir = passable_dir();
    let mut command = Command::new(fresh_binary("kt-control-plane"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("DATABASE_URL", url).envs(variables.iter().copied());
    command.args(["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--data-dir"]);
    command.arg(dir.path().join("data"));
    let (code, said) = ended(command, dir.path()).await;
    assert!(!said.contains(PASSWORD), "a password is shown: {said}");
    assert!(!said.contains("panicked"), "{said}");
    (code, said)
}

/// How the program ended and what it said; one that serves, where it should not, is killed.
async fn ended(command: Command, dir: &Path) -> (Option<i32>, String) {
    let mut process = Process::start("kt-control-plane", command, &dir.join("log"));
    let ended = tokio::task::spawn_blocking(move || (process.until_ended(PATIENCE).code(), process.log()));
    ended.await.expect("it ends")
}

/// A server of this test's own, synced to disk or not.
async fn server(dir: &Path, unsafe_fast: bool) -> (Cluster, PgConnectOptions) {
    let options = Options { dir: dir.join("postgres"), unsafe_fast, max_connections: 40, bin: None };
    let cluster = Cluster::start(&options).await.expect("a server");
    let options = PgConnectOptions::new_without_pgpass()
        .socket(cluster.socket_dir())
        .username(pg_private::USER)
        .database("postgres");
    (cluster, options)
}

async fn is_refused(url: impl AsRef<str>, variables: &[(&str, &str)], code: i32, says: &str) {
    let (found, said) = refused(url.as_ref(), variables).await;
    assert_eq!(found, Some(code), "{says}: {said}");
    let error = said.lines().rfind(|line| line.starts_with("error: ")).unwrap_or_default();
    assert!(error.contains(says), "not `{says}`: {said}");
}

fn url(options: &PgConnectOptions) -> String {
    options.clone().password(PASSWORD).to_url_lossy().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_not_there_or_is_not_one_is_told() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = |listener: &TcpListener| {
        format!("postgres://kt:{PASSWORD}@{}/kt", listener.local_addr().expect("its address"))
    };
    let (silent_url, other_url) = (at(&silent), at(&other));
    // It hangs up on whoever calls, as a server of something else does.
    let hangs_up = std::thread::spawn(move || {
        while let Ok((mut caller, _)) = other.accept() {
            let mut asked = [0; 8];
            if caller.read_exact(&mut asked).is_err() {
                return;
            }
        }
    });
    let nobody = format!("postgres://kt:{PASSWORD}@127.0.0.1:9/kt");
    tokio::join!(
        is_refused(&nobody, &[], 5, "the database cannot be reached: Connection refused"),
        is_refused(&silent_url, &[], 5, "the database does not answer within 5s"),
        is_refused(&other_url, &[], 5, "the database cannot be reached"),
        is_refused("postgres://kt:hunter2@[::1/kt", &[], 2, "DATABASE_URL cannot be read"),
    );
    // A caller that says nothing ends it.
    let address =
        other_url.rsplit_once('@').and_then(|(_, rest)| rest.split('/').next()).expect("an address");
    drop(std::net::TcpStream::connect(address));
    hangs_up.join().expect("it ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_the_wrong_kind_is_refused_and_named() {
    // Not the suite's: `DATABASE_URL` may name one that is safe.
    let dir = passable_dir();
    let (cluster, own) = server(dir.path(), true).await;
    let run = async |database: &str, statement: &'static str| {
        let mut connection = own.clone().database(database).connect().await.expect("it answers");
        connection.execute(statement).await.expect("a superuser may");
        connection.close().await.expect("it closes");
    };
    run("postgres", "create database plain").await;
    let mut plain = own.clone().database("plain").connect().await.expect("it answers");
    MIGRATOR.run(&mut plain).await.expect("the migrations run");
    plain.close().await.expect("it closes");
    for statement in [
        "create database read_only template plain",
        "create database newer template plain",
        "create database changed template plain",
        "alter database read_only set default_transaction_read_only = on",
    ] {
        run("postgres", statement).await;
    }
    let later = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (9999, 'later', true, '', 0)";
    run("newer", later).await;
    run("changed", "update _sqlx_migrations set checksum = 'x'").await;
    let of = |database: &str| url(&own.clone().database(database));
    let plain_url = of("plain");
    tokio::join!(
        is_refused(&plain_url, &[], 6, "fsync=off, full_page_writes=off, synchronous_commit=off"),
        is_refused(
            &plain_url,
            &[("KT_ALLOW_UNSAFE_DATABASE", "yes")],
            2,
            "KT_ALLOW_UNSAFE_DATABASE: write 1"
        ),
        is_refused(of("read_only"), &[ALLOW], 6, "the database is read-only"),
        is_refused(of("newer"), &[ALLOW], 6, "by a newer kt-control-plane (migration 9999)"),
        is_refused(of("changed"), &[ALLOW], 6, "was changed after it ran"),
        is_refused(of("nope"), &[ALLOW], 3, "\"nope\" does not exist"),
        is_refused(url(&own.clone().username("nobody")), &[ALLOW], 4, "role \"nobody\" does not exist"),
    );
    cluster.stop().await.expect("it stops in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_named_with_its_flag() {
    let database = database(&MIGRATOR).await;
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    for flag in ["--listen", "--metrics-listen"] {
        let dir = passable_dir();
        let mut command = Command::new(fresh_binary("kt-control-plane"));
        command.env_clear().env("DATABASE_URL", &database.url).env(ALLOW.0, ALLOW.1);
        command.arg("--data-dir").arg(dir.path().join("data")).args([flag, &address]);
        let free = if flag == "--listen" { "--metrics-listen" } else { "--listen" };
        command.args([free, "127.0.0.1:0"]);
        let (code, said) = ended(command, dir.path()).await;
        assert_eq!(code, Some(6), "{said}");
        assert!(said.contains(&format!("{flag}: {address} is taken")), "{said}");
    }
}

/// A server that syncs, as a user's does; `synchronous_commit` can be off for one database of it alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_safe_server_is_taken_and_one_setting_or_a_wrong_password_is_enough_to_be_refused() {
    let dir = passable_dir();
    let (cluster, options) = server(dir.path(), false).await;
    let mut connection = options.connect().await.expect("it answers");
    let mut run = async |statement: &'static str| {
        connection.execute(statement).await.expect("a superuser may");
    };
    run("alter database postgres set synchronous_commit = off").await;
    is_refused(url(&options), &[], 6, "PostgreSQL runs with synchronous_commit=off, so").await;
    run("alter database postgres set synchronous_commit = local").await;

    let mut plane = PlaneProgram::new(&dir.path().join("plane"), Some(&url(&options)));
    plane.variables = vec![("KT_LOG".to_owned(), "info".to_owned())];
    plane.start().await;
    let mut process = plane.process.take().expect("it runs");
    assert!(process.end().success(), "{}", process.last_words());
    assert!(!process.log().contains("may lose confirmed versions"), "{}", process.log());
    assert!(!process.log().contains(PASSWORD), "{}", process.log());

    run("alter role current_user password 'right'").await;
    let rules = dir.path().join("postgres/data/pg_hba.conf");
    std::fs::write(rules, "local all all scram-sha-256\n").expect("whoever runs the server may");
    run("select pg_reload_conf()").await;
    let told = "password authentication failed";
    tests::eventually::eventually("the rules are read", PATIENCE, async || {
        let (code, said) = refused(&url(&options), &[]).await;
        if code == Some(4) && said.contains(told) { Ok(()) } else { Err((code, said)) }
    })
    .await;
    connection.close().await.expect("it closes");
    cluster.stop().await.expect("it stops in order");
}

//! The private cluster with the real server: it starts, is alone, comes back and goes with its program.
#![cfg(test)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pg_private::{Cluster, Error, Options, ServerState, USER};

const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that the server's user may pass through when the tests run as root.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o711)).unwrap();
    place
}

fn options(place: &tempfile::TempDir) -> Options {
    Options { dir: place.path().join("pg"), unsafe_fast: true, max_connections: 10, bin: None }
}

/// Whether a server answers the first message of the protocol (a request for TLS, refused with `N`).
fn answers(socket_dir: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket_dir.join(".s.PGSQL.5432")) else { return false };
    let mut answer = [0_u8];
    let asked = stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]);
    asked.is_ok() && stream.read_exact(&mut answer).is_ok() && answer == *b"N"
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

/// A zombie has ended too: as the tests may run without an init that reaps orphans.
fn has_ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

#[tokio::test]
async fn a_cluster_starts_answers_and_stops_and_starts_again_on_the_same_data() {
    let place = place();
    let cluster = Cluster::start(&options(&place)).await.unwrap();
    let pid = cluster.pid().unwrap();
    assert!(answers(cluster.socket_dir()));
    let socket_dir = cluster.socket_dir().to_path_buf();
    assert_eq!(fs::metadata(&socket_dir).unwrap().permissions().mode() & 0o777, 0o700);
    cluster.stop().await.unwrap();
    assert!(has_ended(pid));
    assert!(!answers(&socket_dir));

    let made = fs::metadata(place.path().join("pg/data/PG_VERSION")).unwrap().modified().unwrap();
    let cluster = Cluster::start(&options(&place)).await.unwrap();
    assert!(answers(cluster.socket_dir()));
    assert_eq!(fs::metadata(place.path().join("pg/data/PG_VERSION")).unwrap().modified().unwrap(), made);
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_program_is_told_who_runs_it() {
    let place = place();
    let cluster = Cluster::start(&options(&place)).await.unwrap();
    let error = Cluster::start(&options(&place)).await.unwrap_err();
    assert!(
        matches!(&error, Error::AlreadyRunning { pid: Some(pid), .. } if *pid == std::process::id()),
        "{error}"
    );
    assert!(answers(cluster.socket_dir()));
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_server_comes_back_and_the_change_is_told() {
    let place = place();
    let cluster = Cluster::start(&options(&place)).await.unwrap();
    for _ in 0..2 {
        let first = cluster.pid().unwrap();
        let mut state = cluster.state();
        signal(first, Signal::SIGKILL);
        let died = state.wait_for(|state| matches!(state, ServerState::Restarting { .. }));
        tokio::time::timeout(PATIENCE, died).await.unwrap().unwrap();
        let back = state.wait_for(|state| matches!(state, ServerState::Running { pid } if *pid != first));
        tokio::time::timeout(PATIENCE, back).await.unwrap().unwrap();
        assert!(answers(cluster.socket_dir()));
    }
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn dropping_the_cluster_stops_the_server() {
    let place = place();
    let cluster = Cluster::start(&options(&place)).await.unwrap();
    let (pid, mut state) = (cluster.pid().unwrap(), cluster.state());
    drop(cluster);
    let stopped = state.wait_for(|state| *state == ServerState::Stopped);
    tokio::time::timeout(PATIENCE, stopped).await.unwrap().unwrap();
    assert!(has_ended(pid));
}

#[tokio::test]
async fn data_of_another_major_is_refused_and_left_alone() {
    let place = place();
    Cluster::start(&options(&place)).await.unwrap().stop().await.unwrap();
    let version = place.path().join("pg/data/PG_VERSION");
    fs::write(&version, "9\n").unwrap();
    let error = Cluster::start(&options(&place)).await.unwrap_err();
    assert!(matches!(error, Error::OtherMajor { found: 9, .. }), "{error}");
    assert_eq!(fs::read_to_string(version).unwrap(), "9\n");
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_its_own_last_words() {
    let place = place();
    Cluster::start(&options(&place)).await.unwrap().stop().await.unwrap();
    fs::write(place.path().join("pg/data/postgresql.conf"), "no_such_setting = 1\n").unwrap();
    let error = Cluster::start(&options(&place)).await.unwrap_err().to_string();
    assert!(error.contains("`postgres` failed") && error.contains("no_such_setting"), "{error}");
}

#[tokio::test]
async fn a_socket_path_that_is_too_long_is_refused_before_anything_is_made() {
    let place = place();
    let dir = place.path().join("d".repeat(90));
    let options = Options { dir: dir.clone(), ..options(&place) };
    let error = Cluster::start(&options).await.unwrap_err();
    assert!(matches!(error, Error::SocketPath { length, .. } if length > 107), "{error}");
    assert!(!dir.join("data").exists());
}

#[tokio::test]
async fn a_directory_may_have_any_name() {
    let place = place();
    let options = Options { dir: place.path().join("a, b \"c\" 'd'"), ..options(&place) };
    let cluster = Cluster::start(&options).await.unwrap();
    assert!(cluster.socket_dir().starts_with(fs::canonicalize(&options.dir).unwrap()));
    assert!(answers(cluster.socket_dir()));
    cluster.stop().await.unwrap();
}

/// A program that holds a cluster, and a command it runs meanwhile.
struct Holder {
    program: Child,
    command_pid: u32,
    server_pid: u32,
}

fn start_holder(dir: &Path) -> Holder {
    let mut program = Command::new(env!("CARGO_BIN_EXE_with_postgres"))
        .arg("--dir")
        .arg(dir)
        .args(["sh", "-c", "echo $$ $DATABASE_URL; exec sleep 1000"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (command_pid, url) = line.trim().split_once(' ').unwrap();
    assert!(url.starts_with(&format!("postgres://{USER}@localhost/postgres?host=")), "{url}");
    let pid_file = fs::read_to_string(dir.join("data/postmaster.pid")).unwrap();
    Holder {
        program,
        command_pid: command_pid.parse().unwrap(),
        server_pid: pid_file.lines().next().unwrap().parse().unwrap(),
    }
}

#[tokio::test]
async fn the_server_of_a_program_killed_by_force_stops_by_itself_and_the_next_start_works() {
    let place = place();
    let options = options(&place);
    let mut holder = start_holder(&options.dir);
    assert!(!has_ended(holder.server_pid));
    signal(holder.program.id(), Signal::SIGKILL);
    holder.program.wait().unwrap();
    signal(holder.command_pid, Signal::SIGKILL);

    // At once, while the old server may still be writing its checkpoint.
    let cluster = Cluster::start(&options).await.unwrap();
    assert_ne!(cluster.pid().unwrap(), holder.server_pid);
    let began = Instant::now();
    while !has_ended(holder.server_pid) {
        assert!(began.elapsed() < PATIENCE, "server {} outlived its program", holder.server_pid);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(answers(cluster.socket_dir()));
    cluster.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_killed_with_its_program_and_never_reaped_is_no_obstacle() {
    let place = place();
    let options = options(&place);
    // Orphans come to this process, which reaps none: as under the first process of many containers.
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let mut holder = start_holder(&options.dir);
    signal(holder.program.id(), Signal::SIGKILL);
    signal(holder.server_pid, Signal::SIGKILL);
    holder.program.wait().unwrap();
    signal(holder.command_pid, Signal::SIGKILL);
    let began = Instant::now();
    while !has_ended(holder.server_pid) {
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let cluster = Cluster::start(&options).await.unwrap();
    assert!(answers(cluster.socket_dir()));
    cluster.stop().await.unwrap();
}

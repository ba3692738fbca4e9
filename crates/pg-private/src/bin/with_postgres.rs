//! Runs a command with `DATABASE_URL` naming a throwaway server, and removes the server with its end:
//! `with_postgres [--dir DIR] COMMAND [ARGUMENT…]`. For `cargo xtask sqlx` and the tests; not shipped.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pg_private::{Cluster, Options, USER};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "with_postgres: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(mut words: Vec<OsString>) -> Result<u8, Failure> {
    let kept = words.first().is_some_and(|word| word == "--dir");
    let dir = if kept {
        let mut taken = words.drain(..words.len().min(2)).skip(1);
        PathBuf::from(taken.next().ok_or("--dir needs a directory")?)
    } else {
        std::env::temp_dir().join(format!("kt-postgres-{}", std::process::id()))
    };
    let (program, arguments) = words.split_first().ok_or("no command to run was given")?;
    let outcome = run_beside_server(&dir, program, arguments).await;
    if !kept && dir.exists() {
        std::fs::remove_dir_all(&dir)?;
    }
    outcome
}

async fn run_beside_server(dir: &Path, program: &OsString, arguments: &[OsString]) -> Result<u8, Failure> {
    let options = Options { dir: dir.to_path_buf(), unsafe_fast: true, max_connections: 20, bin: None };
    let cluster = Cluster::start(&options).await?;
    let url = format!("postgres://{USER}@localhost/postgres?host={}", cluster.socket_dir().display());
    // Caught before the command exists: ^C reaches the command too, and its end is waited for.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut command = Command::new(program).args(arguments).env("DATABASE_URL", url).spawn()?;
    let status = loop {
        tokio::select! {
            status = command.wait() => break status?,
            _ = interrupted.recv() => {}
        }
    };
    cluster.stop().await?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

//! The database that `DATABASE_URL` names: whether something listens there. `kt` speaks no SQL, so it asks no more.

use tokio::net::TcpStream;

use super::setting::{Settings, database_uri};
use super::{Check, Status};

const PORT: u16 = 5432;

pub(super) async fn check(settings: &Settings) -> Check {
    let tell = |status, message: String| Check::new("database", status, message);
    let Some(url) = &settings.database_url.value else {
        return tell(
            Status::Skipped,
            "DATABASE_URL is not set; a control plane runs a PostgreSQL of its own".to_owned(),
        );
    };
    let Some(uri) = database_uri(&url.to_string_lossy()) else {
        return tell(Status::Warning, "DATABASE_URL names no host to look at".to_owned()).with_hint(
            "write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE, with % escapes where needed",
        );
    };
    let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(PORT));
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match TcpStream::connect((bare, port)).await {
        Ok(_) => tell(Status::Ok, format!("something listens at {host}:{port}")),
        Err(error) => tell(Status::Problem, format!("nothing listens at {host}:{port}: {error}"))
            .with_hint("correct DATABASE_URL, or start the server"),
    }
}

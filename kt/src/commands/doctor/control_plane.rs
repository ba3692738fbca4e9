//! The control plane: whether one answers, and whether it takes the token.

use proto::v1::ListFleetsRequest;
use tokio::net::TcpStream;

use super::setting::{Settings, Source};
use super::{Check, Status};
use crate::cli::Endpoint;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::settings::{ControlPlane, control_plane_url};

pub(super) async fn check(settings: &Settings) -> Check {
    let named = settings.control_plane.source != Source::Default;
    let trouble = if named { Status::Problem } else { Status::Warning };
    let url = settings.control_plane.value.as_str();
    let (shown, uri) = match control_plane_url(Some(url)) {
        Ok(good) => good,
        Err(failure) => return told(trouble, &failure),
    };
    let endpoint = Endpoint { control_plane: Some(url.to_owned()) };
    let control_plane = match ControlPlane::resolve(&endpoint) {
        Ok(control_plane) => control_plane,
        Err(_) => {
            // What is wrong with the token is said in its own line.
            let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
            let listens = TcpStream::connect((host, uri.port_u16().unwrap_or(80))).await;
            return match listens {
                Ok(_) => Check::new(
                    "control_plane",
                    trouble,
                    format!("something listens at {shown}, and there is no token to ask it with"),
                )
                .with_hint("see the line about the token file"),
                Err(error) => nobody(named, &shown, &error.to_string()),
            };
        }
    };
    match answer(&control_plane).await {
        Ok(()) => Check::new("control_plane", Status::Ok, format!("{shown} answers and takes the token")),
        Err(failure) if failure.exit() == Exit::Unreachable && !named => nobody(named, &shown, ""),
        Err(failure) => told(trouble, &failure),
    }
}

async fn answer(control_plane: &ControlPlane) -> Result<(), Failure> {
    let client = Client::connect(control_plane).await?;
    let request = ListFleetsRequest { page_size: 1, page_token: String::new() };
    client.answer(client.fleets().list_fleets(ask(request)).await).map(drop)
}

/// Most people with one gateway have none, so that is nothing to be told of unless it was named.
fn nobody(named: bool, shown: &str, why: &str) -> Check {
    if named {
        return Check::new("control_plane", Status::Problem, format!("nobody answers at {shown}: {why}"))
            .with_hint("start it with `kt-control-plane` or `kt dev`, or name another one");
    }
    Check::new("control_plane", Status::Skipped, format!("none at {shown}; a single gateway needs none"))
}

fn told(status: Status, failure: &Failure) -> Check {
    let check = Check::new("control_plane", status, failure.message());
    match failure.hint() {
        Some(hint) => check.with_hint(hint),
        None => check,
    }
}

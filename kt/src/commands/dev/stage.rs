//! Starts the programs in order, waits until each is up, looks after them and ends them in order.

use std::time::Duration;

use futures_util::future::{join_all, select_all};
use proto::v1::{CreateFleetRequest, GetFleetRequest, ListGatewaysRequest, Liveness};
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::child::{Program, Script};
use super::place::Place;
use crate::cli::Endpoint;
use crate::cli::local::DevArgs;
use crate::client::{Client, ask};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::programs;
use crate::settings::ControlPlane;
use crate::words::counted;

/// The first start makes a database.
const START_LIMIT: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// For requests in flight.
const GATEWAY_PATIENCE: Duration = Duration::from_secs(15);
/// For its database.
const CONTROL_PLANE_PATIENCE: Duration = Duration::from_secs(20);

/// What runs.
#[derive(Debug, Default)]
pub(super) struct Stage {
    control_plane: Option<Program>,
    gateways: Vec<Program>,
}

// === impl Stage ===

impl Stage {
    pub(super) async fn set_up(
        &mut self,
        args: &DevArgs,
        place: &Place,
        printer: &Printer,
    ) -> Result<(), Failure> {
        let control_plane = programs::find("kt-control-plane")?;
        let gateway = programs::find("kt-gateway")?;
        let fleet = crate::commands::fleet_name("--fleet", &args.fleet)?.to_string();

        printer.talk("starting the control plane and its database");
        let script = Script {
            name: "kt-control-plane",
            program: &control_plane,
            log: place.logs().join("control-plane.log"),
        };
        let program = self.control_plane.insert(Program::start(script, |command| {
            command
                .arg("--data-dir")
                .arg(place.control_plane_dir())
                .args(["--listen", &place.control_plane.to_string()])
                .args(["--metrics-listen", &place.metrics.to_string()])
                .env_remove("DATABASE_URL");
        })?);
        let client = reach(program, place).await?;
        make_fleet(&client, &fleet).await?;

        printer.talk(&format!("starting {}", counted(place.gateways.len(), "gateway")));
        for (name, address) in &place.gateways {
            let log = place.logs().join(format!("{name}.log"));
            let script = Script { name: &format!("gateway {name}"), program: &gateway, log };
            self.gateways.push(Program::start(script, |command| {
                command
                    .args(["--name", name, "--fleet", &fleet, "--listen", &address.to_string()])
                    .args(["--control-plane", &place.control_plane_url()])
                    .env("KT_HOME", place.gateways_home())
                    .env("KT_TOKEN_FILE", place.token_file())
                    .env("OPENAI_API_KEY", &args.provider_key)
                    .env_remove("KT_CONTROL_PLANE");
            })?);
        }
        self.all_online(&client, &fleet, place).await
    }

    /// Goes on until the control plane ends; a gateway that ends is only told, one may want to try that.
    pub(super) async fn watch(&mut self, printer: &Printer) -> Failure {
        let Some(control_plane) = &mut self.control_plane else {
            return Failure::unexpected("the control plane was never started");
        };
        let gateways = async {
            let mut running: Vec<_> =
                self.gateways.iter_mut().map(|gateway| Box::pin(gateway.ended())).collect();
            while !running.is_empty() {
                let (failure, _, rest) = select_all(running).await;
                printer.warn(failure.message());
                running = rest;
            }
            std::future::pending::<Failure>().await
        };
        tokio::select! {
            failure = control_plane.ended() => failure,
            failure = gateways => failure,
        }
    }

    /// Gateways first, so that their last reports are heard.
    pub(super) async fn strike(self) -> Result<(), Failure> {
        self.gateways.iter().for_each(Program::ask_to_end);
        let buried = join_all(self.gateways.into_iter().map(|gateway| gateway.bury(GATEWAY_PATIENCE))).await;
        let control_plane = match self.control_plane {
            Some(program) => {
                program.ask_to_end();
                program.bury(CONTROL_PLANE_PATIENCE).await
            }
            None => Ok(()),
        };
        buried.into_iter().chain([control_plane]).collect()
    }

    async fn all_online(&mut self, client: &Client, fleet: &str, place: &Place) -> Result<(), Failure> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            for program in &mut self.gateways {
                program.still_runs()?;
            }
            let request =
                ListGatewaysRequest { fleet: fleet.to_owned(), page_size: 500, page_token: String::new() };
            let listed = client.answer(client.gateways().list_gateways(ask(request)).await)?.gateways;
            let online = |name: &str| {
                listed.iter().any(|seen| seen.name == name && seen.liveness() == Liveness::Online)
            };
            let Some((missing, _)) = place.gateways.iter().find(|(name, _)| !online(name)) else {
                return Ok(());
            };
            if Instant::now() > deadline {
                return Err(late(&format!("gateway {missing}"), place));
            }
            sleep(LOOK_AGAIN).await;
        }
    }
}

/// Connects as soon as the control plane has its port, which it takes after it wrote its token.
async fn reach(program: &mut Program, place: &Place) -> Result<Client, Failure> {
    let deadline = Instant::now() + START_LIMIT;
    let endpoint = Endpoint { control_plane: Some(place.control_plane_url()) };
    loop {
        program.still_runs()?;
        if let Ok(control_plane) = ControlPlane::with_token_file(&endpoint, &place.token_file())
            && let Ok(client) = Client::connect(&control_plane).await
        {
            return Ok(client);
        }
        if Instant::now() > deadline {
            return Err(late(program.name(), place));
        }
        sleep(LOOK_AGAIN).await;
    }
}

async fn make_fleet(client: &Client, name: &str) -> Result<(), Failure> {
    let request = GetFleetRequest { name: name.to_owned() };
    match client.fleets().get_fleet(ask(request)).await {
        Ok(_) => Ok(()),
        Err(status) if status.code() == Code::NotFound => {
            let request = CreateFleetRequest { name: name.to_owned() };
            client.answer(client.fleets().create_fleet(ask(request)).await).map(|_| ())
        }
        Err(status) => Err(client.failure(&status)),
    }
}

fn late(who: &str, place: &Place) -> Failure {
    let message = format!("{who} was not up within {} s", START_LIMIT.as_secs());
    Failure::new(Exit::Unreachable, "timed_out", message)
        .with_hint(format!("the logs are in `{}`", place.logs().display()))
}

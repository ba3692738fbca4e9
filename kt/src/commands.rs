//! One file per command; here is only which one runs, and where.

mod completions;
mod config;
mod dev;
mod doctor;
mod fleet;
mod gateway;
mod history;
mod policy;
mod rollout;

use fleet_core::gateway::{FleetName, GatewayPath, InvalidName};

use crate::cli::Command;
use crate::cli::central::{ConfigCommand, FleetCommand, HistoryCommand, RolloutCommand};
use crate::cli::local::{GatewayCommand, PolicyCommand};
use crate::failure::{Exit, Failure};
use crate::printer::Printer;

/// Runs what was typed.
pub(crate) fn run(command: Command, printer: &Printer) -> Result<Exit, Failure> {
    match command {
        Command::Policy(command) => match command {
            PolicyCommand::Lint(args) => policy::lint::run(&args, printer),
            PolicyCommand::Test(args) => policy::test::run(&args, printer),
            PolicyCommand::Diff(args) => policy::diff::run(&args, printer),
            PolicyCommand::Init(args) => policy::init::run(&args, printer),
        },
        Command::Gateway(command) => match command {
            GatewayCommand::Install(args) => gateway::install::run(&args, printer),
            GatewayCommand::Start(args) => block_on(gateway::start::run(&args, printer)),
            GatewayCommand::Stop(args) => block_on(gateway::stop::run(&args, printer)),
            GatewayCommand::Restart(args) => block_on(gateway::restart::run(&args, printer)),
            GatewayCommand::Status(args) => block_on(gateway::status::run(&args, printer)),
            GatewayCommand::Reload(args) => block_on(gateway::reload::run(&args, printer)),
            GatewayCommand::Revert(args) => block_on(gateway::revert::run(&args, printer)),
            GatewayCommand::Unpin(args) => block_on(gateway::unpin::run(&args, printer)),
            GatewayCommand::Logs(args) => block_on(gateway::logs::run(&args, printer)),
            GatewayCommand::Uninstall(args) => block_on(gateway::uninstall::run(&args, printer)),
            GatewayCommand::Supervise(args) => gateway::supervise::run(args),
            GatewayCommand::Run(args) => gateway::run::run(&args, printer),
            GatewayCommand::List(args) => block_on(gateway::list::run(&args, printer)),
            GatewayCommand::Inspect(args) => block_on(gateway::inspect::run(&args, printer)),
        },
        Command::Fleet(command) => block_on(async {
            match command {
                FleetCommand::Create(args) => fleet::create::run(&args, printer).await,
                FleetCommand::List(args) => fleet::list::run(&args, printer).await,
                FleetCommand::Show(args) => fleet::show::run(&args, printer).await,
            }
        }),
        Command::Config(command) => block_on(async {
            match command {
                ConfigCommand::Push(args) => config::push::run(&args, printer).await,
                ConfigCommand::List(args) => config::list::run(&args, printer).await,
                ConfigCommand::Show(args) => config::show::run(&args, printer).await,
                ConfigCommand::Diff(args) => config::diff::run(&args, printer).await,
                ConfigCommand::History(args) => config::history::run(&args, printer).await,
            }
        }),
        Command::Rollout(command) => block_on(async {
            match command {
                RolloutCommand::Start(args) => rollout::start::run(&args, printer).await,
                RolloutCommand::Status(args) => rollout::status::run(&args, printer).await,
                RolloutCommand::Wait(args) => rollout::wait::run(&args, printer).await,
                RolloutCommand::List(args) => rollout::list::run(&args, printer).await,
            }
        }),
        Command::History(args) => block_on(async {
            match args.command {
                Some(HistoryCommand::At(args)) => history::at::run(&args, printer).await,
                None if args.list.follow => history::follow::run(&args.list, printer).await,
                None => history::list::run(&args.list, printer).await,
            }
        }),
        Command::Dev(args) => dev::run(&args, printer),
        Command::Doctor(args) => doctor::run(&args, printer),
        Command::Completions(args) => completions::run(&args, printer),
    }
}

/// One thread is enough to ask and wait.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::unexpected(format!("cannot start: {error}")))?;
    runtime.block_on(work)
}

/// A fleet's name as typed in `field`.
fn fleet_name(field: &str, text: &str) -> Result<FleetName, Failure> {
    text.parse().map_err(|error: InvalidName| Failure::usage(field, format!("`{text}` is no fleet: {error}")))
}

/// `FLEET/NAME` as typed in `field`.
fn gateway_path(field: &str, text: &str) -> Result<GatewayPath, Failure> {
    text.parse().map_err(|error: InvalidName| {
        Failure::usage(field, format!("`{text}` is no gateway: {error}")).with_hint("write it as prod/edge-1")
    })
}

//! `kt dev`: a control plane on its private database, a fleet of gateways and a fake provider, on this machine.
//!
//! The programs are the real ones, as children; the provider runs in this process. Everything ends with it.

mod child;
mod place;
mod stage;

use std::pin::pin;
use std::time::Duration;

use service_kit::drain::{DrainTrigger, channel, run_until_signal};
use tokio::time::Instant;

use crate::cli::local::DevArgs;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use place::Place;
use stage::Stage;

/// How long the open answers of the provider may take at the end.
const PROVIDER_DRAIN: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &DevArgs, printer: &Printer) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::unexpected(format!("cannot start: {error}")))?;
    // Children are started by this thread and no other: the kernel ends them when the thread that started
    // them ends.
    runtime.block_on(play(args, printer))
}

async fn play(args: &DevArgs, printer: &Printer) -> Result<Exit, Failure> {
    super::fleet_name("--fleet", &args.fleet)?;
    let place = Place::prepare(args)?;
    let (trigger, drain) = channel();
    let provider = place.bind_provider().await?.require_key(args.provider_key.clone());
    drain.spawn("fake provider", provider.serve(drain.clone()));

    let mut stage = Stage::default();
    let mut signal = pin!(run_until_signal());
    let started = Instant::now();
    let set_up = tokio::select! {
        // The signals are listened to before the first program runs.
        biased;
        _ = &mut signal => None,
        set_up = stage.set_up(args, &place, printer) => Some(set_up),
    };
    let outcome = match set_up {
        None => Ok(Exit::Done),
        Some(Err(failure)) => Err(failure),
        Some(Ok(())) => match place.show(args, printer, started.elapsed()) {
            Err(failure) => Err(failure),
            Ok(()) => tokio::select! {
                _ = &mut signal => Ok(Exit::Done),
                failure = stage.watch(printer) => Err(failure),
            },
        },
    };
    printer.talk("stopping");
    let stopped = stage.strike().await;
    end_provider(&trigger).await;
    outcome.and_then(|exit| stopped.map(|()| exit))
}

async fn end_provider(trigger: &DrainTrigger) {
    trigger.start();
    // Its connections end with this process anyway.
    let _ = trigger.drained(PROVIDER_DRAIN).await;
}

//! `kt rollout start NAME@REVISION --fleet FLEET`

use proto::v1::{self, StartRolloutRequest};

use super::{fresh_key, show_rejections, strategy, summary_line};
use crate::cli::central::RolloutStartArgs;
use crate::client::{Client, ask};
use crate::commands::config::RevisionRef;
use crate::failure::{Exit, Failure};
use crate::printer::Printer;
use crate::settings::ControlPlane;
use crate::views::RolloutView;
use crate::wait::Patience;

pub(crate) async fn run(args: &RolloutStartArgs, printer: &Printer) -> Result<Exit, Failure> {
    let named = RevisionRef::parse("NAME@REVISION", &args.config)?;
    let Some(revision) = named.revision else {
        let message = format!("`{}` does not say which revision", args.config);
        return Err(Failure::usage("NAME@REVISION", message).with_hint("write it as local-dev@3"));
    };
    let fleet = super::super::fleet_name("--fleet", &args.fleet)?.to_string();
    let request = StartRolloutRequest {
        config: named.config.to_string(),
        revision: revision.0,
        fleet,
        strategy: Some(strategy(&args.rollout)?),
        replace_config: args.rollout.replace_config,
        supersede: args.rollout.supersede,
        accept_risk: args.accept_risk,
        idempotency_key: args.idempotency_key.clone().unwrap_or_else(fresh_key),
    };
    let client = Client::connect(&ControlPlane::resolve(&args.endpoint)?).await?;
    let rollout = client
        .answer_once(|client| {
            let request = ask(request.clone());
            async move { client.rollouts().start_rollout(request).await }
        })
        .await?;
    if !args.wait.wait {
        show(&rollout, printer)?;
        return Ok(Exit::Done);
    }
    let waited = match Patience::of(&args.wait.goal).wait(&client, rollout.clone(), printer).await {
        Ok(waited) => waited,
        Err(failure) => {
            // It was started, whatever became of the wait.
            show(&rollout, printer)?;
            return Err(failure);
        }
    };
    if printer.is_json() {
        printer.json(&RolloutView::of(&waited.rollout))?;
    } else {
        printer.text(&summary_line(&waited.rollout))?;
        show_rejections(&waited.rollout, None, printer);
    }
    waited.outcome()
}

fn show(rollout: &v1::Rollout, printer: &Printer) -> Result<(), Failure> {
    if printer.is_json() {
        return printer.json(&RolloutView::of(rollout));
    }
    printer.text(&summary_line(rollout))?;
    printer.talk(&format!("follow it with `kt rollout wait {}`", rollout.id));
    Ok(())
}

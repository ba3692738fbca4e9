//! `kt rollout start NAME@REVISION --fleet FLEET`

use proto::v1::StartRolloutRequest;

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
    let rollout = client.answer(client.rollouts().start_rollout(ask(request)).await)?;
    if !args.wait.wait {
        if printer.is_json() {
            printer.json(&RolloutView::of(&rollout))?;
        } else {
            printer.text(&summary_line(&rollout))?;
            printer.talk(&format!("follow it with `kt rollout wait {}`", rollout.id));
        }
        return Ok(Exit::Done);
    }
    let waited = Patience::of(&args.wait.goal).wait(&client, rollout, printer).await?;
    if printer.is_json() {
        printer.json(&RolloutView::of(&waited.rollout))?;
    } else {
        printer.text(&summary_line(&waited.rollout))?;
        show_rejections(&waited.rollout, None, printer);
    }
    waited.outcome()
}

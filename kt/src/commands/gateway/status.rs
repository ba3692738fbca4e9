//! `kt gateway status`: what it runs, what it should run, why they differ, how to go back; and what happened to it.

use instance::{Action, History, HistoryRecord};
use service_kit::clock::Clock;

use crate::cli::gateway::GatewayStatusArgs;
use crate::failure::{Exit, Failure};
use crate::instances::{self, Found, cannot_use};
use crate::printer::Printer;
use crate::tables::local;
use crate::views::LookView;
use crate::words::counted;

pub(crate) async fn run(args: &GatewayStatusArgs, printer: &Printer) -> Result<Exit, Failure> {
    let found = instances::find(&args.gateway.name)?;
    let selects = args.history_action.is_some() || args.history_limit.is_some();
    if args.history_json || args.history || selects {
        return history(&found, args, printer);
    }
    let looked = found.look().await?;
    if printer.is_json() {
        printer.json(&LookView::of(&looked))?;
        return Ok(Exit::Done);
    }
    printer.text(&local::status(&looked, Clock::system().now()))?;
    Ok(Exit::Done)
}

fn history(found: &Found, args: &GatewayStatusArgs, printer: &Printer) -> Result<Exit, Failure> {
    let told =
        History::of(&found.place).read().map_err(|error| cannot_use(&found.place.history(), &error))?;
    if told.unreadable > 0 {
        let entries = if told.unreadable == 1 { "entry" } else { "entries" };
        printer.warn(&format!(
            "{} unreadable {entries} in `{}`: left out",
            told.unreadable,
            found.place.history().display()
        ));
    }
    let wanted = args.history_action.as_deref().map(action).transpose()?;
    let records = newest(told.records, wanted, args.history_limit);
    if args.history_json || printer.is_json() {
        printer.json(&records)?;
    } else if records.is_empty() {
        printer.talk(&format!("nothing of that kind happened to gateway {} yet", found.name()));
    } else {
        printer.text(&local::history(&records, printer.width()))?;
        if let Some(failed) = records.iter().rev().find(|record| !record.findings.is_empty()) {
            let findings = counted(failed.findings.len(), "finding");
            printer.talk(&format!("{findings} in the newest of them; --history-json has all"));
        }
    }
    Ok(Exit::Done)
}

fn action(word: &str) -> Result<Action, Failure> {
    serde_json::from_value(serde_json::Value::from(word))
        .map_err(|_| Failure::usage("--history-action", format!("`{word}` is no action")))
}

/// Those of an action, the newest `limit` of them, the oldest first.
fn newest(records: Vec<HistoryRecord>, wanted: Option<Action>, limit: Option<usize>) -> Vec<HistoryRecord> {
    let mut kept: Vec<_> =
        records.into_iter().filter(|record| wanted.is_none_or(|action| record.action == action)).collect();
    let beyond = limit.map_or(0, |limit| kept.len().saturating_sub(limit));
    kept.drain(..beyond);
    kept
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use instance::Outcome;

    use super::*;
    use crate::cli::gateway::ACTIONS;
    use crate::instances::record::record;

    #[test]
    fn every_word_of_the_command_line_is_an_action_and_the_other_way_round() {
        for word in ACTIONS {
            let action = action(word).unwrap();
            assert_eq!(serde_json::to_value(action).unwrap(), word);
            // A new action does not compile here, and is to be offered.
            match action {
                Action::Install
                | Action::Start
                | Action::Stop
                | Action::Restart
                | Action::Reload
                | Action::Revert
                | Action::CrashFallback
                | Action::Uninstall => {}
            }
        }
    }

    #[test]
    fn the_newest_of_an_action_are_told_oldest_first() {
        let of = |action, id: &str| HistoryRecord {
            id: id.to_owned(),
            ..record(action, Outcome::Succeeded, "root", Duration::ZERO)
        };
        let all = vec![
            of(Action::Install, "1"),
            of(Action::Reload, "2"),
            of(Action::Reload, "3"),
            of(Action::Stop, "4"),
        ];
        let ids = |wanted, limit| {
            newest(all.clone(), wanted, limit).into_iter().map(|record| record.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(None, None), ["1", "2", "3", "4"]);
        assert_eq!(ids(Some(Action::Reload), None), ["2", "3"]);
        assert_eq!(ids(Some(Action::Reload), Some(1)), ["3"]);
        assert_eq!(ids(None, Some(2)), ["3", "4"]);
        assert!(ids(Some(Action::Revert), Some(2)).is_empty() && ids(None, Some(0)).is_empty());
    }
}

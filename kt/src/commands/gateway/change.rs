//! What `reload`, `revert` and `unpin` have in common: the gateway that is meant, the order, how its outcome is told.

mod source;

use instance::HistoryRecord;
use instance::documents::{ErrorBody, ErrorCode, Status};
use policy_config::{Finding, Severity};
use serde::Serialize;

use crate::cli::gateway::BreakGlassArgs;
use crate::diagnostics::{Exhibit, Style, report, summary};
use crate::failure::{Exit, Failure};
use crate::instances::data_port::GatewayUrl;
use crate::instances::door::{self, NotDone};
use crate::instances::{self, Found};
use crate::printer::Printer;
use crate::tables::local;
use crate::words::clean_line;
pub(super) use source::Source;

/// The gateway of this name, which runs, and answers at the URL if one was given.
pub(super) async fn running(name: &str, gateway_url: Option<&str>) -> Result<(Found, Status), Failure> {
    let url = gateway_url.map(GatewayUrl::parse).transpose()?;
    let found = instances::find(name)?;
    let status: Status = door::status_soon(&found.place).await?;
    if let Some(url) = url {
        url.must_be(&status).await?;
    }
    Ok((found, status))
}

/// What is typed with `--break-glass` must be something.
pub(super) fn reason(args: &BreakGlassArgs) -> Result<Option<String>, Failure> {
    match &args.reason {
        Some(reason) if args.break_glass && reason.trim().is_empty() => {
            Err(Failure::usage("--reason", "--reason is empty")
                .with_hint("say why the gateway is changed here; it stands in the history"))
        }
        reason => Ok(reason.clone()),
    }
}

/// Gives the order and tells what came of it.
pub(super) async fn order(
    found: &Found,
    route: &str,
    request: &impl Serialize,
    source: Option<&Source>,
    printer: &Printer,
) -> Result<Exit, Failure> {
    let record: HistoryRecord = door::order(&found.place, route, request).await.map_err(|not| match not {
        NotDone::Refused(refused) => told(found.name(), &refused, source, printer),
        NotDone::Unheard(failure) => failure,
    })?;
    if printer.is_json() {
        printer.json(&record)?;
        return Ok(Exit::Done);
    }
    printer.text(&local::changed(found.name(), &record))?;
    for finding in &record.findings {
        let hint =
            if finding.suggestion.is_empty() { String::new() } else { format!(" ({})", finding.suggestion) };
        printer.warn(&format!("{}: {}{hint}", finding.code, clean_line(&finding.message)));
    }
    Ok(Exit::Done)
}

/// The gateway's refusal, with its findings drawn in the file where kt can show it.
pub(super) fn told(name: &str, refused: &ErrorBody, source: Option<&Source>, printer: &Printer) -> Failure {
    let exit = Exit::of_code(refused.code.exit_code());
    let code = match serde_json::to_value(refused.code) {
        Ok(serde_json::Value::String(code)) => code,
        Ok(_) | Err(_) => "refused".to_owned(),
    };
    let findings: Vec<Finding> = refused.findings.iter().map(Into::into).collect();
    let stage = refused.stage.as_deref().filter(|stage| !refused.message.contains(stage));
    let at = stage.map(|stage| format!(" (stage {stage})")).unwrap_or_default();
    let mut failure = Failure::new(exit, &code, format!("gateway `{name}`: {}{at}", refused.message));
    failure = match (&refused.hint, refused.code) {
        // The gateway speaks of fields.
        (_, ErrorCode::Managed) => failure.with_hint(
            "push a config with `kt config push`; in an emergency, change and pin it here with `--break-glass --reason TEXT`",
        ),
        (Some(hint), _) => failure.with_hint(hint),
        (None, _) => failure,
    };
    if !findings.is_empty() {
        let style = Style { colour: printer.stderr_has_colour() };
        let exhibit = source.and_then(|source| source.of(&findings));
        let drawn = match &exhibit {
            Some((name, bytes)) => report(Exhibit { name, source: bytes }, &findings, style),
            None => list(&findings),
        };
        failure = failure.with_report(format!("{drawn}\n\n{}", summary(&findings)));
    }
    failure.with_findings(findings)
}

/// Findings in a file that kt does not show.
fn list(findings: &[Finding]) -> String {
    let lines = findings.iter().map(|finding| {
        let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
        let (code, message) = (clean_line(&finding.code), clean_line(&finding.message));
        let place = match finding.location.line {
            0 => String::new(),
            line => format!(" at {line}:{}", finding.location.column),
        };
        let help = match finding.suggestion.as_str() {
            "" => String::new(),
            suggestion => format!("\n  help: {}", clean_line(suggestion)),
        };
        format!("{severity}[{code}]{place}: {message}{help}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_code_hint_and_findings() {
        let (_, found) = policy_config::PolicyDocument::new("pack: 1\n").parse();
        let refused = ErrorBody {
            code: ErrorCode::InvalidPack,
            message: "refused at stage lint".to_owned(),
            stage: Some("lint".to_owned()),
            hint: Some("see `kt policy lint`".to_owned()),
            findings: found.findings.iter().map(Into::into).collect(),
        };
        let failure = told("a", &refused, None, &Printer::new(false));
        assert_eq!((failure.exit(), failure.code()), (Exit::Usage, "invalid_pack"));
        assert_eq!(failure.hint(), Some("see `kt policy lint`"));
        assert_eq!(failure.findings().len(), found.findings.len());
        let drawn = failure.report().unwrap();
        assert!(drawn.starts_with("error[") && drawn.contains(" at 1:"), "{drawn}");
    }
}

//! `kt gateway reload`: the gateway reads the file itself, beneath its working directory.

use std::path::{Path, PathBuf};

use instance::documents::{ReloadRequest, routes};

use super::change::{self, Source};
use crate::cli::gateway::GatewayReloadArgs;
use crate::failure::{Exit, Failure};
use crate::instances::{self, Found};
use crate::printer::Printer;

const FIELD: &str = "--config-path";

pub(crate) async fn run(args: &GatewayReloadArgs, printer: &Printer) -> Result<Exit, Failure> {
    let reason = change::reason(&args.break_glass)?;
    let path = match &args.config_path {
        Some(path) => path.clone(),
        None => installed_file(&instances::find(&args.gateway.name)?)?,
    };
    let config_path = path
        .to_str()
        .ok_or_else(|| Failure::usage(FIELD, format!("`{}` is not UTF-8", path.display())))?
        .to_owned();
    let (found, _) = change::running(&args.gateway.name, args.gateway_url.as_deref()).await?;
    let request = ReloadRequest { config_path, break_glass: args.break_glass.break_glass, reason };
    let source = found.description.as_ref().ok().map(|found| Source::new(&found.working_dir, &path));
    change::order(&found, routes::RELOAD, &request, source.as_ref(), printer).await
}

/// The file of the installation, as the gateway would be told it.
fn installed_file(found: &Found) -> Result<PathBuf, Failure> {
    let description = found.description()?;
    let name = found.name();
    let beneath = |path: &Path| path.strip_prefix(&description.working_dir).map(Path::to_path_buf).ok();
    match &description.policy_config {
        // As a `run` was told it; the gateway says what is wrong with it.
        Some(path) if path.is_relative() => Ok(path.clone()),
        Some(path) => beneath(path).ok_or_else(|| {
            Failure::usage(
                FIELD,
                format!(
                    "`{}` does not lie beneath the working directory `{}` of gateway `{name}`",
                    path.display(),
                    description.working_dir.display()
                ),
            )
            .with_hint("name a file beneath it with --config-path, or install with another --working-dir")
        }),
        None => Err(Failure::usage(FIELD, format!("gateway `{name}` was not installed from a file"))
            .with_hint("name one with --config-path")),
    }
}

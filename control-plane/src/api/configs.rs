//! ConfigService: push, and reads of what was pushed.

use fleet_core::version::Revision;
use policy_config::diff::{Change, diff};
use policy_config::schema::PackName;
use policy_config::{PolicyConfig, PolicyDocument};
use proto::convert::findings::wire_findings;
use proto::convert::scalars::{parse, revision};
use proto::v1::config_service_server::ConfigService;
use proto::{WireError, v1};
use service_kit::failpoint;
use tonic::{Request, Response, Status};

use super::paging::{Listing, page_size};
use super::rollouts::{idempotency_key, rollout_order};
use super::{auth, rollouts, status, wire};
use crate::operations::{self, Context, OperationError, Precondition, PushConfig};
use crate::store::StoreError;
use crate::store::configs::{ConfigRecord, config_get, config_list, config_names, revision_list};

/// How many existing names are told to whoever asks for one that does not exist.
const KNOWN: u32 = 20;
const MAX_NOTE: usize = 1_000;

#[derive(Debug, Clone)]
pub(crate) struct Configs {
    pub(crate) context: Context,
}

#[tonic::async_trait]
impl ConfigService for Configs {
    async fn push_config(
        &self,
        request: Request<v1::PushConfigRequest>,
    ) -> Result<Response<v1::PushConfigResponse>, Status> {
        let principal = auth::principal(&request)?;
        let order = push_order(request.into_inner()).map_err(status::refuse)?;
        let pushed =
            operations::push_config(&self.context, &principal, order).await.map_err(status::refuse)?;
        failpoint::pass("push.before_reply")
            .await
            .map_err(|error| status::refuse(StoreError::from(error)))?;
        Ok(Response::new(v1::PushConfigResponse {
            config: pushed.version.config.to_string(),
            revision: pushed.version.revision.0,
            version: pushed.version.version.to_string(),
            digest: pushed.version.digest.to_string(),
            created: pushed.created,
            warnings: wire_findings(&pushed.warnings),
            rollout: pushed.rollout.map(rollouts::wire_rollout),
        }))
    }

    async fn get_config(
        &self,
        request: Request<v1::GetConfigRequest>,
    ) -> Result<Response<v1::GetConfigResponse>, Status> {
        let request = request.into_inner();
        let (record, source) = self.stored(&request.config, "revision", request.revision).await?;
        Ok(Response::new(v1::GetConfigResponse { revision: Some(wire::config_revision(record)), source }))
    }

    async fn list_configs(
        &self,
        request: Request<v1::ListConfigsRequest>,
    ) -> Result<Response<v1::ListConfigsResponse>, Status> {
        let request = request.into_inner();
        let listing = Listing { name: "configs", filter: "" };
        let size = page_size(request.page_size).map_err(status::refuse)?;
        let after: Option<PackName> = listing.after(&request.page_token).map_err(status::refuse)?;
        let page = config_list(&self.context.store, after.as_ref(), size).await.map_err(status::refuse)?;
        Ok(Response::new(v1::ListConfigsResponse {
            configs: page.items.into_iter().map(wire::config_revision).collect(),
            next_page_token: listing.token(page.next),
        }))
    }

    async fn list_revisions(
        &self,
        request: Request<v1::ListRevisionsRequest>,
    ) -> Result<Response<v1::ListRevisionsResponse>, Status> {
        let request = request.into_inner();
        let config: PackName = parse("config", &request.config).map_err(status::refuse)?;
        let listing = Listing { name: "revisions", filter: &request.config };
        let size = page_size(request.page_size).map_err(status::refuse)?;
        let before: Option<u64> = listing.after(&request.page_token).map_err(status::refuse)?;
        let page = revision_list(&self.context.store, &config, before.map(Revision), size)
            .await
            .map_err(status::refuse)?;
        if page.items.is_empty() && before.is_none() {
            return Err(status::refuse(self.unknown_config(&config).await));
        }
        Ok(Response::new(v1::ListRevisionsResponse {
            revisions: page.items.into_iter().map(wire::config_revision).collect(),
            next_page_token: listing.token(page.next),
        }))
    }

    async fn diff_configs(
        &self,
        request: Request<v1::DiffConfigsRequest>,
    ) -> Result<Response<v1::DiffConfigsResponse>, Status> {
        let request = request.into_inner();
        let from = revision("from_revision", request.from_revision).map_err(status::refuse)?;
        let (from, from_source) = self.stored(&request.config, "from_revision", from.0).await?;
        let (to, to_source) = self.stored(&request.config, "to_revision", request.to_revision).await?;
        let (old, new) = (parsed(&from, &from_source)?, parsed(&to, &to_source)?);
        let sections = diff(&old, &new).sections.into_iter().map(|section| v1::SectionDiff {
            section: section.section.to_owned(),
            lines: section.changes.iter().flat_map(diff_lines).collect(),
        });
        Ok(Response::new(v1::DiffConfigsResponse {
            sections: sections.collect(),
            from: Some(wire::config_revision(from)),
            to: Some(wire::config_revision(to)),
        }))
    }
}

// === impl Configs ===

impl Configs {
    /// A revision with its bytes; 0 is the newest.
    async fn stored(
        &self,
        config: &str,
        field: &'static str,
        number: u64,
    ) -> Result<(ConfigRecord, bytes::Bytes), Status> {
        let config: PackName = parse("config", config).map_err(status::refuse)?;
        let wanted = match number {
            0 => None,
            number => Some(revision(field, number).map_err(status::refuse)?),
        };
        let found = config_get(&self.context.store, &config, wanted).await.map_err(status::refuse)?;
        match (found, wanted) {
            (Some(found), _) => Ok(found),
            (None, None) => Err(status::refuse(self.unknown_config(&config).await)),
            (None, Some(wanted)) => Err(status::refuse(self.unknown_revision(&config, wanted).await)),
        }
    }

    async fn unknown_config(&self, config: &PackName) -> OperationError {
        match config_names(&self.context.store, KNOWN).await {
            Ok(known) => OperationError::NotFound { what: "config", name: config.to_string(), known },
            Err(error) => error.into(),
        }
    }

    async fn unknown_revision(&self, config: &PackName, wanted: Revision) -> OperationError {
        let known = match revision_list(&self.context.store, config, None, KNOWN).await {
            Ok(page) => {
                page.items.iter().map(|record| record.version.revision.to_string()).collect::<Vec<_>>()
            }
            Err(error) => return error.into(),
        };
        if known.is_empty() {
            return self.unknown_config(config).await;
        }
        OperationError::NotFound { what: "revision", name: format!("{config}@{wanted}"), known }
    }
}

fn push_order(wire: v1::PushConfigRequest) -> Result<PushConfig, WireError> {
    if wire.note.chars().count() > MAX_NOTE || wire.note.chars().any(char::is_control) {
        return Err(WireError::new("note", format!("is at most {MAX_NOTE} printable characters")));
    }
    Ok(PushConfig {
        source: wire.source,
        note: wire.note,
        idempotency_key: idempotency_key(wire.idempotency_key)?,
        expect_revision: wire.expect_revision.map(Revision),
        allow_same_version: wire.allow_same_version,
        accept_risk: wire.accept_risk,
        rollout: wire.rollout.map(rollout_order).transpose()?,
    })
}

/// A revision that was stored under an older schema may not parse any more; its bytes are kept all the same.
fn parsed(record: &ConfigRecord, source: &[u8]) -> Result<PolicyConfig, Status> {
    let (config, report) = PolicyDocument::new(source).parse();
    config.ok_or_else(|| {
        status::refuse(OperationError::Precondition(Box::new(Precondition {
            code: "revision_unreadable",
            message: format!(
                "{}@{} does not parse with this version's schema",
                record.version.config, record.version.revision
            ),
            hint: "compare the bytes: `kt config show` prints them".to_owned(),
            findings: report.findings,
            ..Precondition::default()
        })))
    })
}

fn diff_lines(change: &Change) -> Vec<String> {
    let line = |sign: char, value: &Option<String>| {
        value.as_ref().map(|value| format!("{sign}{}: {value}", change.path))
    };
    [line('-', &change.before), line('+', &change.after)].into_iter().flatten().collect()
}

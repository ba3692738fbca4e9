//! A push: admit, store, record, and plan the rollout that came with it, in one transaction.

use bytes::Bytes;
use fleet_core::history::EventKind;
use fleet_core::version::{ConfigVersion, Revision};
use policy_config::Finding;
use serde_json::json;
use sqlx::PgConnection;

use super::admit_pack::admit_pack;
use super::idempotency::{KeptAnswer, RequestKey};
use super::record_refusal::{Subject, refused};
use super::start_rollout::{Plan, RolloutOrder, check_risk, plan_rollout, rollout_view};
use super::{Context, OperationError, Precondition, Principal};
use crate::admission::AdmittedConfig;
use crate::store::StoreError;
use crate::store::configs::{
    KnownRevisions, NewRevision, config_lock, revision_find, revision_get, revision_insert,
};
use crate::store::history::{NewEvent, event_append};
use crate::store::rollout_reads::RolloutView;
use crate::store::tx::Tx;
use crate::store::wakeup::notify;

/// Bytes to store, and where to roll them out.
#[derive(Debug, Clone)]
pub struct PushConfig {
    pub source: Bytes,
    /// At most 1 000 characters, none of them a control character.
    pub note: String,
    pub idempotency_key: Option<String>,
    /// The newest revision that the caller has seen; 0: the config must not exist yet.
    pub expect_revision: Option<Revision>,
    pub allow_same_version: bool,
    pub accept_risk: bool,
    pub rollout: Option<RolloutOrder>,
}

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedConfig {
    pub version: ConfigVersion,
    /// False: these bytes were stored before.
    pub created: bool,
    pub warnings: Vec<Finding>,
    pub rollout: Option<RolloutView>,
}

const LONGEST_NOTE: usize = 1_000;

/// Stores the bytes (same bytes: the same revision) and plans the rollout.
///
/// # Errors
/// [`OperationError::Lint`] with every finding; [`OperationError::Precondition`] for a reused pack version, a stale
/// `expect_revision`, a dangerous change, a fleet that is bound to another config or has an open rollout.
pub async fn push_config(
    context: &Context,
    principal: &Principal,
    push: PushConfig,
) -> Result<PushedConfig, OperationError> {
    let fleet = push.rollout.as_ref().map(|order| &order.fleet);
    let admitted = match check(&push).await {
        Ok(admitted) => admitted,
        Err(error) => {
            let subject = Subject { fleet, ..Subject::default() };
            return Err(refused(context, principal, "push_config", subject, error).await);
        }
    };
    let key = request_key(principal, &push)?;
    let kept = context
        .store
        .in_tx("push_config", |tx| {
            let plan = Plan::new(context, principal);
            save(tx, plan, key.as_ref(), &push, &admitted)
        })
        .await;
    let kept = match kept {
        Ok(kept) => kept,
        Err(error) => {
            let subject = Subject { fleet, config: Some(&admitted.config.pack.name), gateway: None };
            return Err(refused(context, principal, "push_config", subject, error).await);
        }
    };
    context.wake.tell();
    let rollout = match kept.rollout {
        Some(id) => Some(rollout_view(&context.store, id).await?),
        None => None,
    };
    let version = ConfigVersion {
        config: admitted.config.pack.name.clone(),
        revision: kept.revision,
        version: admitted.config.pack.version.clone(),
        digest: admitted.document.digest(),
    };
    Ok(PushedConfig { version, created: kept.created, warnings: admitted.warnings, rollout })
}

/// What can be said without the database.
async fn check(push: &PushConfig) -> Result<AdmittedConfig, OperationError> {
    if push.note.chars().count() > LONGEST_NOTE || push.note.chars().any(char::is_control) {
        let problem =
            format!("a note is at most {LONGEST_NOTE} characters, none of them a control character");
        return Err(OperationError::Invalid { field: "note", problem });
    }
    admit_pack(push.source.clone()).await
}

fn request_key(principal: &Principal, push: &PushConfig) -> Result<Option<RequestKey>, OperationError> {
    let flags = format!("{:?} {} {}", push.expect_revision, push.allow_same_version, push.accept_risk);
    let rollout = push.rollout.as_ref().map(|order| format!("{order:?}")).unwrap_or_default();
    let parts: [&[u8]; 5] =
        [b"push_config", &push.source, push.note.as_bytes(), flags.as_bytes(), rollout.as_bytes()];
    RequestKey::new(principal, push.idempotency_key.as_deref(), &parts)
}

async fn save(
    mut tx: Tx,
    plan: Plan,
    key: Option<&RequestKey>,
    push: &PushConfig,
    admitted: &AdmittedConfig,
) -> Result<(Tx, KeptAnswer), OperationError> {
    if let Some(key) = key
        && let Some(kept) = key.claim(&mut tx).await?
    {
        return Ok((tx, kept));
    }
    let pack = &admitted.config.pack;
    let head = config_lock(&mut tx, &pack.name).await?;
    let known = revision_find(&mut tx, &pack.name, admitted.document.digest(), &pack.version).await?;
    decide(push, admitted, head, &known)?;
    let (revision, created) = match known.same_bytes {
        Some(revision) => (revision, false),
        None => (store(&mut tx, &plan, push, admitted).await?, true),
    };
    let version = ConfigVersion {
        config: pack.name.clone(),
        revision,
        version: pack.version.clone(),
        digest: admitted.document.digest(),
    };
    if push.rollout.is_none() && created && !push.accept_risk {
        check_against_head(&mut tx, &version, head, admitted).await?;
    }
    let mut events = Vec::new();
    if created {
        events.push(NewEvent {
            config: Some(&version.config),
            revision: Some(revision),
            version: version.version.to_string(),
            digest: Some(version.digest),
            detail: if push.note.is_empty() { json!({}) } else { json!({ "note": push.note }) },
            // Who asks what changed in a fleet asks for this too.
            fleet: push.rollout.as_ref().map(|order| &order.fleet),
            ..NewEvent::new(EventKind::ConfigPushed, &plan.actor)
        });
    }
    let planned = match &push.rollout {
        Some(order) => Some(
            plan_rollout(
                &mut tx,
                &plan,
                order,
                &version,
                head.filter(|_| created),
                admitted,
                push.accept_risk,
            )
            .await?,
        ),
        None => None,
    };
    let kept = KeptAnswer { revision, created, rollout: planned.as_ref().map(|planned| planned.id) };
    if let Some(key) = key {
        key.keep(&mut tx, kept).await?;
    }
    if let Some(planned) = &planned {
        events.extend(planned.events(&plan, order_fleet(push), &version));
        notify(&mut tx).await?;
    }
    event_append(&mut tx, &events).await?;
    Ok((tx, kept))
}

/// May these bytes become, or be, a revision of this config now?
fn decide(
    push: &PushConfig,
    admitted: &AdmittedConfig,
    head: Option<Revision>,
    known: &KnownRevisions,
) -> Result<(), OperationError> {
    let pack = &admitted.config.pack;
    let newest = head.unwrap_or(Revision(0));
    if let Some(expected) = push.expect_revision
        && expected != newest
    {
        return Err(OperationError::Precondition(Box::new(Precondition {
            code: "revision_changed",
            message: format!("`{}` is at revision {newest}, not {expected}", pack.name),
            hint: "look at what was pushed meanwhile, then push with the newest revision".to_owned(),
            expected: Some(expected.to_string()),
            found: Some(newest.to_string()),
            findings: Vec::new(),
        })));
    }
    if known.same_bytes.is_none()
        && !push.allow_same_version
        && let Some(other) = known.same_version
    {
        return Err(OperationError::Precondition(Box::new(Precondition {
            code: "version_reused",
            message: format!(
                "version {} of `{}` is revision {other} with other bytes",
                pack.version, pack.name
            ),
            hint: "raise `pack.version`, or pass --allow-same-version".to_owned(),
            expected: Some("a new version".to_owned()),
            found: Some(pack.version.to_string()),
            findings: Vec::new(),
        })));
    }
    Ok(())
}

async fn store(
    conn: &mut PgConnection,
    plan: &Plan,
    push: &PushConfig,
    admitted: &AdmittedConfig,
) -> Result<Revision, StoreError> {
    let pack = &admitted.config.pack;
    let new = NewRevision {
        config: &pack.name,
        version: &pack.version,
        digest: admitted.document.digest(),
        source: admitted.document.source(),
        author: &plan.actor,
        note: &push.note,
    };
    revision_insert(conn, new).await
}

/// Without a fleet, the newest revision is what a dangerous change is measured against.
async fn check_against_head(
    conn: &mut PgConnection,
    version: &ConfigVersion,
    head: Option<Revision>,
    admitted: &AdmittedConfig,
) -> Result<(), OperationError> {
    let Some(head) = head else { return Ok(()) };
    match revision_get(conn, &version.config, head).await? {
        Some((_, source)) => check_risk(&format!("revision {head}"), &source, admitted),
        None => Ok(()),
    }
}

fn order_fleet(push: &PushConfig) -> Option<&fleet_core::gateway::FleetName> {
    push.rollout.as_ref().map(|order| &order.fleet)
}

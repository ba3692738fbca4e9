//! The same key with the same request answers as the first time: what a request is, and what is kept of its answer.

use fleet_core::ids::RolloutId;
use fleet_core::version::Revision;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::error::Conflict;
use super::{OperationError, Principal};
use crate::store::StoreError;
use crate::store::tokens::{KeyUse, key_answer, key_claim};

/// A key and the request that it stands for.
#[derive(Debug, Clone)]
pub(crate) struct RequestKey {
    principal: String,
    key: String,
    request: [u8; 32],
}

/// What is kept of an answer: enough to give it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeptAnswer {
    pub revision: Revision,
    pub created: bool,
    pub rollout: Option<RolloutId>,
}

/// Longest key; printable ASCII.
const LONGEST_KEY: usize = 128;

// === impl RequestKey ===

impl RequestKey {
    /// `parts` are everything in the request that matters.
    pub(crate) fn new(
        principal: &Principal,
        key: Option<&str>,
        parts: &[&[u8]],
    ) -> Result<Option<Self>, OperationError> {
        let Some(key) = key else { return Ok(None) };
        if key.is_empty() || key.len() > LONGEST_KEY || !key.bytes().all(|byte| (0x20..0x7f).contains(&byte))
        {
            let problem = format!("an idempotency key is 1-{LONGEST_KEY} printable ASCII characters");
            return Err(OperationError::Invalid { field: "idempotency_key", problem });
        }
        let mut hash = Sha256::new();
        for part in parts {
            // The length keeps ("ab", "c") apart from ("a", "bc").
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Ok(Some(Self { principal: principal.actor(), key: key.to_owned(), request: hash.finalize().into() }))
    }

    /// The kept answer, when this very request was answered before; otherwise the key is ours in this transaction.
    pub(crate) async fn claim(&self, conn: &mut PgConnection) -> Result<Option<KeptAnswer>, OperationError> {
        match key_claim(conn, &self.principal, &self.key, self.request).await? {
            KeyUse::First => Ok(None),
            KeyUse::Repeated(answer) => Ok(Some(KeptAnswer::from_json(&answer)?)),
            KeyUse::Taken => Err(OperationError::Conflict(Box::new(Conflict {
                code: "idempotency_key_reused",
                message: format!("the idempotency key `{}` was used for another request", self.key),
                hint: "use a new key for a new request".to_owned(),
            }))),
        }
    }

    pub(crate) async fn keep(&self, conn: &mut PgConnection, answer: KeptAnswer) -> Result<(), StoreError> {
        key_answer(conn, &self.principal, &self.key, &answer.to_json()).await
    }
}

// === impl KeptAnswer ===

impl KeptAnswer {
    fn to_json(self) -> Value {
        json!({
            "revision": self.revision.0,
            "created": self.created,
            "rollout": self.rollout.map(|rollout| rollout.to_string()),
        })
    }

    fn from_json(value: &Value) -> Result<Self, StoreError> {
        let corrupt = || StoreError::corrupt("idempotency_keys.response");
        let rollout = value.get("rollout").and_then(Value::as_str).map(str::parse).transpose();
        Ok(Self {
            revision: Revision(value.get("revision").and_then(Value::as_u64).ok_or_else(corrupt)?),
            created: value.get("created").and_then(Value::as_bool).ok_or_else(corrupt)?,
            rollout: rollout.map_err(|_| corrupt())?,
        })
    }
}

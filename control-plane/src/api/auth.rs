//! Credential → principal, and whether that principal may make the call. Runs before anything else of a call.
//!
//! Agents are looked up at every call, so a credential that was replaced is worth nothing from that moment on. While
//! the database is away, those that it knew before are known.

use std::net::IpAddr;
use std::sync::Arc;

use fleet_core::gateway::GatewayPath;
use fleet_core::ids::GatewayId;
use http::request::Parts;
use http::{HeaderMap, Uri, header};

use super::call_error::CallError;
use super::known_agents::KnownAgents;
use super::rules::{Access, Rule};
use super::{outage, status};
use crate::credential::{Credential, CredentialHash};
use crate::operations::Principal;
use crate::store::tokens::TokenHash;
use crate::store::{Store, StoreError};

/// Knows the operator's credential and asks the store for the agents'.
#[derive(Debug, Clone)]
pub(crate) struct Authenticator {
    operator: CredentialHash,
    store: Store,
    agents: Arc<KnownAgents>,
}

/// What an agent proved itself with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Proof {
    pub(crate) token: TokenHash,
    /// The database was away: all that is known is that the credential was good before.
    pub(crate) recalled: bool,
}

// === impl Authenticator ===

impl Authenticator {
    pub(crate) fn new(operator: CredentialHash, store: Store) -> Self {
        let agents = Arc::new(KnownAgents::new(store.clone()));
        Self { operator, store, agents }
    }

    /// The agents that are known here.
    pub(crate) fn agents(&self) -> Arc<KnownAgents> {
        self.agents.clone()
    }

    /// The caller, whatever it may call. The [`Proof`] of an agent goes with the call.
    pub(crate) async fn identify_any(&self, head: &mut Parts) -> Result<Principal, tonic::Status> {
        let (principal, proof) = self.identify(&head.headers).await?;
        if let Some(proof) = proof {
            head.extensions.insert(proof);
        }
        Ok(principal)
    }

    /// The credential of a call that has to be looked up; none when it is the operator's, or no credential at all.
    pub(crate) fn to_look_up(&self, headers: &HeaderMap) -> Option<CredentialHash> {
        let hash = bearer(headers).ok()?.hash();
        (!hash.matches(&self.operator)).then_some(hash)
    }

    async fn identify(&self, headers: &HeaderMap) -> Result<(Principal, Option<Proof>), tonic::Status> {
        let hash = bearer(headers).map_err(status::refuse)?.hash();
        if hash.matches(&self.operator) {
            return Ok((Principal::Operator, None));
        }
        let (agent, proof) = self.agent(TokenHash(*hash.as_bytes())).await?;
        let (gateway, path) = agent.ok_or_else(|| status::refuse(CallError::WrongCredential))?;
        Ok((Principal::Agent { gateway, path }, Some(proof)))
    }

    /// From the database; from memory while that is away. Nobody is called unknown who was not looked up.
    async fn agent(
        &self,
        token: TokenHash,
    ) -> Result<(Option<(GatewayId, GatewayPath)>, Proof), tonic::Status> {
        match self.agents.look_up(token).await {
            Ok(agent) => Ok((agent, Proof { token, recalled: false })),
            Err(error @ StoreError::Unavailable(_)) => match self.store.look_now().await {
                Some(away) => match self.agents.recall(token) {
                    Some(agent) => Ok((Some(agent), Proof { token, recalled: true })),
                    None => Err(outage::refuse_stranger(away)),
                },
                None => Err(status::refuse(error)),
            },
            Err(error) => Err(status::refuse(error)),
        }
    }
}

/// The gateway whose agent calls; the guard let nobody else through to a method for agents.
pub(crate) fn agent<T>(request: &tonic::Request<T>) -> Result<(GatewayId, GatewayPath), tonic::Status> {
    match request.extensions().get::<Principal>() {
        Some(Principal::Agent { gateway, path }) => Ok((*gateway, path.clone())),
        Some(Principal::Operator) | None => Err(status::refuse(CallError::NoCredential)),
    }
}

/// What that agent proved itself with; the guard has found it good.
pub(crate) fn proof<T>(request: &tonic::Request<T>) -> Result<Proof, tonic::Status> {
    request.extensions().get::<Proof>().copied().ok_or_else(|| status::refuse(CallError::NoCredential))
}

/// Who calls a method for operators.
pub(crate) fn principal<T>(request: &tonic::Request<T>) -> Result<Principal, tonic::Status> {
    request.extensions().get::<Principal>().cloned().ok_or_else(|| status::refuse(CallError::NoCredential))
}

/// Plain text is for this machine only: a browser that was led to a name which resolves to loopback is refused.
pub(crate) fn is_loopback_authority(uri: &Uri, headers: &HeaderMap) -> bool {
    let from_header = || {
        let host = headers.get(header::HOST)?.to_str().ok()?;
        host.parse::<http::uri::Authority>().ok()
    };
    uri.authority().cloned().or_else(from_header).is_some_and(|authority| is_loopback_name(authority.host()))
}

fn is_loopback_name(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a caller who is known may call this.
pub(super) fn allow(rule: Rule, principal: &Principal) -> Result<(), CallError> {
    match (rule.access, principal) {
        (Access::Anyone, _)
        | (Access::Operator, Principal::Operator)
        | (Access::Agent, Principal::Agent { .. }) => Ok(()),
        (Access::Operator, Principal::Agent { .. }) => {
            Err(CallError::NotAllowed { method: rule.name, caller: "the agent of a gateway" })
        }
        (Access::Agent, Principal::Operator) => {
            Err(CallError::NotAllowed { method: rule.name, caller: "an operator" })
        }
    }
}

/// Exactly one, so that two readers can never see two callers.
fn bearer(headers: &HeaderMap) -> Result<Credential, CallError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(CallError::NoCredential)?;
    if values.next().is_some() {
        return Err(CallError::UnreadableCredential);
    }
    let text = value.to_str().map_err(|_| CallError::UnreadableCredential)?;
    let (scheme, token) = text.split_once(' ').ok_or(CallError::UnreadableCredential)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(CallError::UnreadableCredential);
    }
    Credential::parse(token.trim()).ok_or(CallError::WrongCredential)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn one_bearer_token_and_nothing_else() {
        let token = Credential::fresh().unwrap();
        for good in [format!("Bearer {}", token.expose()), format!("bearer  {} ", token.expose())] {
            assert!(bearer(&headers(&[&good])).unwrap().hash().matches(&token.hash()), "{good}");
        }
        let good = format!("Bearer {}", token.expose());
        let cases: [(&[&str], CallError); 6] = [
            (&[], CallError::NoCredential),
            (&[&good, &good], CallError::UnreadableCredential),
            (&["Basic a2V0"], CallError::UnreadableCredential),
            (&["Bearer"], CallError::UnreadableCredential),
            (&["Bearer ä"], CallError::UnreadableCredential),
            (&["Bearer kt_guess"], CallError::WrongCredential),
        ];
        for (values, expected) in cases {
            assert_eq!(bearer(&headers(values)).unwrap_err(), expected, "{values:?}");
        }
        let long = format!("Bearer kt_{}", "A".repeat(64_000));
        assert_eq!(bearer(&headers(&[&long])).unwrap_err(), CallError::WrongCredential);
    }

    #[test]
    fn only_loopback_names_are_authorities() {
        let allowed = |uri: &str| is_loopback_authority(&uri.parse().unwrap(), &HeaderMap::new());
        for good in
            ["http://localhost:7443/x", "http://127.0.0.1/x", "http://127.9.9.9:1/", "http://[::1]:7443/"]
        {
            assert!(allowed(good), "{good}");
        }
        for bad in ["http://evil.example/x", "http://localhost.evil.example/", "http://10.0.0.1/", "/x"] {
            assert!(!allowed(bad), "{bad}");
        }
        let mut host = HeaderMap::new();
        host.insert(header::HOST, HeaderValue::from_static("localhost:7443"));
        assert!(is_loopback_authority(&"/x".parse().unwrap(), &host));
    }
}

//! `rate-limit`: how many requests and tokens a client may have in a window. The counts are the gateway's
//! ([`Meters`]); this only says what counts as what.

use std::net::IpAddr;
use std::time::Duration;

use policy_config::schema::{Limit, LimitKey, PolicyKind, PolicyMode, RateLimit};

use super::{CannotJudge, Decision, Policy, Subject};
use crate::meters::{Charge, Claim, Exhausted, Level, Metered, Meters, tighter};
use crate::surroundings::Surroundings;
use crate::text::Phase;
use crate::verdict::{BlockClass, Verdict};

const REQUESTS: &str = "rate_limit.requests";
const TOKENS: &str = "rate_limit.tokens";

#[derive(Debug)]
pub(crate) struct RateLimitPolicy {
    mode: PolicyMode,
    identity_headers: Vec<String>,
    counts: Vec<Count>,
}

/// One thing that is counted.
#[derive(Debug)]
struct Count {
    /// The name of the counter: the same limit has the same under every pack, whatever its height.
    rule: String,
    whose: Whose,
    what: What,
    limit: u64,
    window: Duration,
}

#[derive(Debug, Clone)]
enum Whose {
    Header(String),
    Address,
    Everyone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Requests,
    Tokens,
}

// === impl RateLimitPolicy ===

impl RateLimitPolicy {
    pub(crate) fn compile(settings: &RateLimit) -> Self {
        let counts: Vec<Count> =
            settings.limits.iter().flat_map(|limit| counts(limit, &settings.consumer_header)).collect();
        let mut identity_headers = vec![settings.consumer_header.clone()];
        identity_headers.extend(counts.iter().filter_map(|count| match &count.whose {
            Whose::Header(name) => Some(name.clone()),
            Whose::Address | Whose::Everyone => None,
        }));
        identity_headers.sort_unstable();
        identity_headers.dedup();
        Self { mode: settings.mode, identity_headers, counts }
    }

    fn claims(&self, meters: &dyn Meters, around: &dyn Surroundings) -> Vec<Claim> {
        self.counts.iter().map(|count| count.claim(meters, around)).collect()
    }

    fn granted(&self, claims: &[Claim], levels: &[Level]) -> Decision {
        let mut metered = Metered::default();
        for ((count, claim), level) in self.counts.iter().zip(claims).zip(levels) {
            match count.what {
                What::Requests => metered.requests = tighter(metered.requests, Some(*level)),
                What::Tokens => {
                    metered.tokens = tighter(metered.tokens, Some(*level));
                    metered.charges.push(Charge { meter: claim.meter, window: claim.window });
                }
            }
        }
        Decision { metered, ..Decision::default() }
    }

    fn refused(&self, exhausted: &Exhausted) -> Decision {
        let Exhausted { claim, retry_after, level } = *exhausted;
        let what = self.counts.get(claim).map_or(What::Requests, |count| count.what);
        let window = self.counts.get(claim).map_or(Duration::ZERO, |count| count.window);
        let (noun, code, metered) = match what {
            What::Requests => ("requests", REQUESTS, Metered { requests: Some(level), ..Metered::default() }),
            What::Tokens => ("tokens", TOKENS, Metered { tokens: Some(level), ..Metered::default() }),
        };
        let message = format!(
            "Rate limit reached: {} {noun} in {} s; try again in {} s",
            level.limit,
            seconds(window),
            seconds(retry_after)
        );
        Decision {
            verdict: Verdict::Block,
            reason_codes: vec![code],
            message,
            class: BlockClass::RateLimit { retry_after },
            metered,
            ..Decision::default()
        }
    }
}

impl Policy for RateLimitPolicy {
    fn kind(&self) -> PolicyKind {
        PolicyKind::RateLimit
    }

    fn mode(&self) -> PolicyMode {
        self.mode
    }

    fn runs_in(&self, phase: Phase) -> bool {
        phase == Phase::Input
    }

    fn reads_text(&self) -> bool {
        false
    }

    fn fails_closed(&self) -> bool {
        true
    }

    fn judge(&self, subject: &Subject<'_>) -> Result<Decision, CannotJudge> {
        let Some(meters) = subject.around.meters() else { return Ok(Decision::default()) };
        let claims = self.claims(meters, subject.around);
        Ok(match meters.take(&claims) {
            Ok(levels) => self.granted(&claims, &levels),
            Err(exhausted) => self.refused(&exhausted),
        })
    }

    fn blocked_before(&self, subject: &Subject<'_>) {
        if let Some(meters) = subject.around.meters() {
            // it is refused already; whether there was room makes no difference
            let _ = meters.take(&self.claims(meters, subject.around));
        }
    }

    fn identity_headers(&self) -> &[String] {
        &self.identity_headers
    }
}

// === impl Count ===

impl Count {
    fn claim(&self, meters: &dyn Meters, around: &dyn Surroundings) -> Claim {
        let meter = match &self.whose {
            Whose::Header(name) => {
                // An empty one says as little as none.
                let said = around.header(name).filter(|said| !said.is_empty());
                meters.id(&self.rule, said.map(str::as_bytes))
            }
            Whose::Address => match around.address().map(network_of) {
                Some(IpAddr::V4(address)) => meters.id(&self.rule, Some(&address.octets())),
                Some(IpAddr::V6(address)) => meters.id(&self.rule, Some(&address.octets())),
                None => meters.id(&self.rule, None),
            },
            Whose::Everyone => meters.id(&self.rule, None),
        };
        let amount = u64::from(self.what == What::Requests);
        Claim { meter, window: self.window, limit: self.limit, amount }
    }
}

fn counts(limit: &Limit, consumer_header: &str) -> impl Iterator<Item = Count> {
    let (name, whose) = match &limit.key {
        LimitKey::Header(name) => (format!("header:{name}"), Whose::Header(name.clone())),
        LimitKey::Consumer => {
            (format!("consumer:{consumer_header}"), Whose::Header(consumer_header.to_owned()))
        }
        LimitKey::Ip => ("ip".to_owned(), Whose::Address),
        LimitKey::Global => ("global".to_owned(), Whose::Everyone),
    };
    let window = limit.window;
    let counted = [(What::Requests, "requests", limit.requests), (What::Tokens, "tokens", limit.tokens)];
    counted.into_iter().filter_map(move |(what, noun, limit)| {
        let rule = format!("{name}/{noun}/{}", window.as_millis());
        Some(Count { rule, whose: whose.clone(), what, limit: limit?, window })
    })
}

/// A client with IPv6 has a whole network of addresses: the /64 is who it is.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & (u128::MAX << 64)).into()),
        address => address,
    }
}

/// Whole ones, rounded up.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

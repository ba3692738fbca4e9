//! `model-access`: which models and targets a consumer may use. Who the consumer is says a header that the
//! deployment sets; nobody and several are the same as a consumer that no rule names.

use std::sync::Arc;

use policy_config::schema::{Access, AccessRule, ModelAccess, NameFilter, PolicyKind, PolicyMode};

use super::{CannotJudge, Decision, Policy, Subject};
use crate::surroundings::Surroundings;
use crate::target::{Target, glob_matches};
use crate::text::Phase;
use crate::verdict::Verdict;

const DENIED: &str = "model_access.denied";

/// The targets that a request may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFilter(Names);

#[derive(Debug)]
pub(crate) struct ModelAccessPolicy {
    mode: PolicyMode,
    consumer_header: [String; 1],
    default: Access,
    rules: Vec<Rule>,
    /// Id and model of each target: a consumer without one for its model is denied here, before anything is read.
    targets: Vec<(String, String)>,
}

#[derive(Debug)]
struct Rule {
    consumers: Vec<String>,
    models: Names,
    /// `None`: all.
    targets: Option<Arc<TargetFilter>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Names {
    allow: Vec<String>,
    /// In lower case: a name that a provider may read in any case is out in any case.
    deny: Vec<String>,
}

// === impl TargetFilter ===

impl TargetFilter {
    /// By id.
    pub fn permits(&self, target: &str) -> bool {
        self.0.permit(target)
    }
}

// === impl Names ===

impl Names {
    fn of(filter: &NameFilter) -> Self {
        let deny = filter.deny.iter().map(|name| name.to_lowercase()).collect();
        Self { allow: filter.allow.clone(), deny }
    }

    fn permit(&self, name: &str) -> bool {
        !self.deny(name) && any_matches(&self.allow, name)
    }

    fn deny(&self, name: &str) -> bool {
        !self.deny.is_empty() && any_matches(&self.deny, &name.to_lowercase())
    }

    /// The part of a glob that is permitted, in names and globs again.
    fn within(&self, glob: &str) -> Vec<String> {
        if self.deny(glob) {
            return Vec::new();
        }
        if any_matches(&self.allow, glob) {
            return vec![glob.to_owned()];
        }
        let narrower = |name: &&String| glob_matches(glob.as_bytes(), name.as_bytes()) && !self.deny(name);
        self.allow.iter().filter(narrower).cloned().collect()
    }
}

// === impl ModelAccessPolicy ===

impl ModelAccessPolicy {
    pub(crate) fn compile(settings: &ModelAccess, targets: &[(String, String)]) -> Self {
        let ModelAccess { mode, ref consumer_header, default, ref rules } = *settings;
        Self {
            mode,
            consumer_header: [consumer_header.clone()],
            default,
            rules: rules.iter().map(Rule::of).collect(),
            targets: targets.to_vec(),
        }
    }

    /// The rule that decides, or what is done where there is none.
    fn rule_of(&self, around: &dyn Surroundings) -> Result<&Rule, Access> {
        let [header] = &self.consumer_header;
        let consumer = around.header(header).filter(|consumer| !consumer.is_empty()).ok_or(self.default)?;
        self.rules.iter().find(|rule| any_matches(&rule.consumers, consumer)).ok_or(self.default)
    }

    /// Some target for this model is permitted, or there is none anyway.
    fn leaves_a_target(&self, filter: &TargetFilter, model: &str) -> bool {
        let mut serving = self
            .targets
            .iter()
            .filter(|(_, serves)| glob_matches(serves.as_bytes(), model.as_bytes()))
            .peekable();
        serving.peek().is_none() || serving.any(|(id, _)| filter.permits(id))
    }
}

impl Policy for ModelAccessPolicy {
    fn kind(&self) -> PolicyKind {
        PolicyKind::ModelAccess
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
        let rule = match self.rule_of(subject.around) {
            Ok(rule) => rule,
            Err(Access::Allow) => return Ok(Decision::default()),
            Err(Access::Deny) => return Ok(denied()),
        };
        let leaves_a_target =
            rule.targets.as_ref().is_none_or(|filter| self.leaves_a_target(filter, subject.model));
        if !rule.models.permit(subject.model) || !leaves_a_target {
            return Ok(denied());
        }
        Ok(Decision { targets: rule.targets.clone(), ..Decision::default() })
    }

    fn identity_headers(&self) -> &[String] {
        &self.consumer_header
    }

    fn shown_models(&self, target: &Target, around: &dyn Surroundings) -> Vec<String> {
        match self.rule_of(around) {
            Ok(rule) if rule.targets.as_ref().is_none_or(|filter| filter.permits(&target.id.0)) => {
                rule.models.within(&target.model)
            }
            Ok(_) | Err(Access::Deny) => Vec::new(),
            Err(Access::Allow) => vec![target.model.clone()],
        }
    }

    fn permits_model(&self, target: &Target, model: &str, around: &dyn Surroundings) -> bool {
        match self.rule_of(around) {
            Ok(rule) => {
                let permits = |filter: &Arc<TargetFilter>| filter.permits(&target.id.0);
                rule.targets.as_ref().is_none_or(permits) && rule.models.permit(model)
            }
            Err(access) => access == Access::Allow,
        }
    }
}

// === impl Rule ===

impl Rule {
    fn of(rule: &AccessRule) -> Self {
        let all = rule.targets == NameFilter::default();
        Self {
            consumers: rule.consumers.clone(),
            models: Names::of(&rule.models),
            targets: (!all).then(|| Arc::new(TargetFilter(Names::of(&rule.targets)))),
        }
    }
}

fn denied() -> Decision {
    Decision {
        verdict: Verdict::Block,
        reason_codes: vec![DENIED],
        message: "Request blocked: its consumer may not use this model".to_owned(),
        ..Decision::default()
    }
}

fn any_matches(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| glob_matches(pattern.as_bytes(), name.as_bytes()))
}

//! Who may be asked: the targets of a pack that serve a model at an endpoint.

use policy_config::schema::{Provider, TargetId};

use crate::endpoint::Endpoint;
use crate::target::Target;

/// Targets by their place in the pack; a pack has at most 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TargetSet([u64; Self::WORDS]);

/// The targets of one request. Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidates {
    pub targets: TargetSet,
}

/// Why no target may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTarget {
    /// No target of the pack serves the model.
    UnknownModel,
    /// Some do, and this endpoint is one where all of them answer less: ask there.
    OtherEndpoint { instead: Endpoint },
    /// Some do, and this consumer may use none of them.
    NotAllowed,
}

// === impl TargetSet ===

impl TargetSet {
    const WORDS: usize = 4;

    pub fn insert(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    pub fn remove(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word &= !(1 << (index % 64));
        }
    }

    pub fn contains(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// In file order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

impl FromIterator<usize> for TargetSet {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        let mut set = Self::default();
        indices.into_iter().for_each(|index| set.insert(index));
        set
    }
}

// === impl Candidates ===

impl Candidates {
    /// Those whose `model` matches, exactly or as a glob, whose provider has the operation, and that `allowed` lets through.
    pub(crate) fn of(
        targets: &[Target],
        endpoint: Endpoint,
        model: &str,
        allowed: impl Fn(&TargetId) -> bool,
    ) -> Result<Self, NoTarget> {
        let mut found = TargetSet::default();
        let (mut elsewhere, mut kept_away) = (None, false);
        for (index, target) in targets.iter().enumerate().filter(|(_, target)| target.serves(model)) {
            if !target.answers(endpoint) {
                elsewhere = elsewhere.or(Some(main_endpoint(target.provider)));
            } else if allowed(&target.id) {
                found.insert(index);
            } else {
                kept_away = true;
            }
        }
        match elsewhere {
            _ if !found.is_empty() => Ok(Self { targets: found }),
            _ if kept_away => Err(NoTarget::NotAllowed),
            Some(instead) => Err(NoTarget::OtherEndpoint { instead }),
            None => Err(NoTarget::UnknownModel),
        }
    }
}

const fn main_endpoint(provider: Provider) -> Endpoint {
    match provider {
        Provider::Anthropic => Endpoint::Messages,
        Provider::OpenAi | Provider::OpenAiCompatible | Provider::AzureOpenAi => Endpoint::ChatCompletions,
    }
}

#[cfg(test)]
mod tests {
    use policy_config::schema::ProviderTarget;
    use proptest::prelude::*;

    use super::*;
    use crate::secrets::Secrets;

    fn targets(rows: &[(&str, Provider, &str)]) -> Vec<Target> {
        let compile = |(id, provider, model): &(&str, Provider, &str)| {
            Target::compile(&ProviderTarget::new(id, *provider, model, "https://h.example"), &Secrets::new())
        };
        rows.iter().map(compile).collect()
    }

    #[test]
    fn candidates_serve_the_model_at_the_endpoint_in_file_order() {
        let targets = targets(&[
            ("glob", Provider::OpenAi, "gpt-*"),
            ("claude", Provider::Anthropic, "claude-*"),
            ("exact", Provider::AzureOpenAi, "gpt-5"),
            ("rest", Provider::Anthropic, "any"),
        ]);
        let of = |endpoint, model, allowed: &dyn Fn(&TargetId) -> bool| {
            Candidates::of(&targets, endpoint, model, allowed)
                .map(|found| found.targets.iter().collect::<Vec<_>>())
        };
        let chat = Endpoint::ChatCompletions;
        assert_eq!(of(chat, "gpt-5", &|_| true), Ok(vec![0, 2]));
        assert_eq!(of(chat, "gpt-4", &|_| true), Ok(vec![0]));
        assert_eq!(of(chat, "gpt-5", &|id| id.0 != "glob"), Ok(vec![2]));
        assert_eq!(of(chat, "gpt-5", &|_| false), Err(NoTarget::NotAllowed));
        assert_eq!(of(chat, "nobody", &|_| true), Err(NoTarget::UnknownModel));
        assert_eq!(of(Endpoint::Messages, "claude-x", &|_| true), Ok(vec![1]));
        let instead = Endpoint::Messages;
        assert_eq!(of(chat, "claude-x", &|_| true), Err(NoTarget::OtherEndpoint { instead }));
        assert_eq!(of(chat, "claude-x", &|_| false), Err(NoTarget::OtherEndpoint { instead }));
        let instead = chat;
        assert_eq!(of(Endpoint::Messages, "gpt-5", &|_| true), Err(NoTarget::OtherEndpoint { instead }));
    }

    proptest! {
        #[test]
        fn a_set_is_what_was_put_in(indices in proptest::collection::btree_set(0_usize..256, 0..40), gone in 0_usize..300) {
            let mut set: TargetSet = indices.iter().copied().collect();
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), indices.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.len(), indices.len());
            set.remove(gone);
            prop_assert!(!set.contains(gone));
            prop_assert_eq!(set.len(), indices.iter().filter(|index| **index != gone).count());
            prop_assert_eq!(set.is_empty(), set.iter().next().is_none());
        }
    }
}

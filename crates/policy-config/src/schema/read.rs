//! From the tree to a `PolicyConfig`: every key is looked at once, every finding is made on the way.

pub(crate) mod fields;
mod pack;
mod patterns;
mod policies;
mod providers;
mod settings;
pub(crate) mod testing;
mod values;

use crate::lint::collector::Collector;
use crate::schema::{PolicyConfig, TestSuite};
use crate::tree::Node;
use fields::Fields;

/// What a pack looks like from far away, for files that hold something else.
pub(crate) const OUTLINE: &str = "a pack is a mapping with pack, providers, policies and policy";

/// Reads a whole pack. `Some` only when every part could be read; the caller also asks the collector
/// whether there were errors.
pub(crate) fn read_pack_file(
    root: &Node,
    findings: &mut Collector,
) -> Option<(PolicyConfig, Vec<TestSuite>)> {
    patterns::refuse_secrets(root, "", findings);
    let fields = Fields::of_root(root, &["pack", "providers", "policies", "policy", "testing"], findings)?;
    let pack = fields.required("pack", findings).and_then(|field| pack::read(&field, findings));
    let providers =
        fields.required("providers", findings).and_then(|field| providers::read(&field, findings));
    let blocks = fields.get("policy").map(|field| settings::read_blocks(&field, findings));
    let read_policies = fields
        .required("policies", findings)
        .and_then(|field| policies::read(&field, blocks.unwrap_or_default(), findings));
    let suites = match fields.get("testing") {
        Some(field) => testing::read(&field, findings),
        None => Some(Vec::new()),
    };
    let (policies, budget) = read_policies?;
    let providers = providers?;
    if let Some(field) = fields.get("policy") {
        settings::check_against(&field, &providers, findings);
    }
    Some((PolicyConfig { pack: pack?, providers, policies, budget }, suites?))
}

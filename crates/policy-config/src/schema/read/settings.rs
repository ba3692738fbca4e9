//! Reads the blocks of `policy`: the settings of each kind, defaults filled in.

mod dlp_filter;
mod model_access;
mod rate_limit;

use std::collections::BTreeMap;

use super::fields::{Field, Fields, join, suggest};
use super::patterns;
use super::policies::report_unknown_kind;
use crate::lint::collector::{Collector, echo, path_key};
use crate::lint::rules;
use crate::location::Location;
use crate::schema::Providers;
use crate::schema::chain::{PolicyKind, PolicyMode};
use crate::schema::settings::{
    AuditLogger, CONSUMER_HEADER, DEFAULT_BLOCK_MESSAGE, DetectAction, MarkerFormat, PII_LABELS, PiiAction,
    PiiDetector, PolicySettings, PromptInjection,
};
use crate::tree::{Meaning, NodeKind};

const MAX_MARKERS: usize = 200;
/// A typing error is looked for among this many labels of `detect_patterns`; comparing costs time.
const COMPARED_LABELS: usize = 32;
const MODES: &[(&str, PolicyMode)] = &[("enforce", PolicyMode::Enforce), ("shadow", PolicyMode::Shadow)];

/// One block of `policy` under a known kind; `settings` is `None` when it had errors.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: PolicyKind,
    pub(super) path: String,
    pub(super) at: Location,
    pub(super) settings: Option<PolicySettings>,
}

pub(super) fn read_blocks(field: &Field<'_>, findings: &mut Collector) -> Vec<Block> {
    let mut blocks = Vec::new();
    for entry in field.entries("a mapping from policy kind to its settings", findings).unwrap_or_default() {
        let path = join(&field.path, &path_key(&entry.key));
        let Some(kind) = PolicyKind::ALL.iter().copied().find(|kind| kind.as_str() == entry.key) else {
            report_unknown_kind(&entry.key, &path, entry.key_at, findings);
            continue;
        };
        let block = Field { path: path.clone(), node: &entry.value };
        let settings = read_block(kind, &block, findings);
        blocks.push(Block { kind, path, at: entry.key_at, settings });
    }
    blocks
}

/// What only shows beside the rest of the pack.
pub(super) fn check_against(field: &Field<'_>, providers: &Providers, findings: &mut Collector) {
    let NodeKind::Mapping(blocks) = &field.node.kind else { return };
    if let Some(block) = blocks.iter().find(|block| block.key == PolicyKind::ModelAccess.as_str()) {
        let field = Field { path: join(&field.path, &block.key), node: &block.value };
        model_access::warn_about_targets(&field, providers, findings);
    }
}

/// `None`: the kind does nothing, or refuses everything, unless it is told more.
pub(super) fn defaults(kind: PolicyKind) -> Option<PolicySettings> {
    Some(match kind {
        PolicyKind::PromptInjection => PolicySettings::PromptInjection(PromptInjection {
            mode: PolicyMode::default(),
            action: DetectAction::default(),
            message: DEFAULT_BLOCK_MESSAGE.to_owned(),
            attack_patterns: Vec::new(),
        }),
        PolicyKind::PiiDetector => PolicySettings::PiiDetector(PiiDetector {
            mode: PolicyMode::default(),
            action: PiiAction::default(),
            pci_mode: true,
            healthcare_mode: false,
            detect_patterns: BTreeMap::new(),
            marker_format: MarkerFormat::default(),
            custom_markers: BTreeMap::new(),
        }),
        PolicyKind::AuditLogger => {
            PolicySettings::AuditLogger(AuditLogger { mode: PolicyMode::default(), include_content: false })
        }
        PolicyKind::DlpFilter | PolicyKind::RateLimit | PolicyKind::ModelAccess => return None,
    })
}

fn read_block(kind: PolicyKind, field: &Field<'_>, findings: &mut Collector) -> Option<PolicySettings> {
    if field.node.as_scalar().is_some_and(|scalar| scalar.meaning() == Meaning::Null) {
        return field.wrong_type("a mapping; `{}` for the defaults", findings);
    }
    match kind {
        PolicyKind::PromptInjection => {
            read_prompt_injection(field, findings).map(PolicySettings::PromptInjection)
        }
        PolicyKind::PiiDetector => read_pii_detector(field, findings).map(PolicySettings::PiiDetector),
        PolicyKind::DlpFilter => dlp_filter::read(field, findings).map(PolicySettings::DlpFilter),
        PolicyKind::RateLimit => rate_limit::read(field, findings).map(PolicySettings::RateLimit),
        PolicyKind::ModelAccess => model_access::read(field, findings).map(PolicySettings::ModelAccess),
        PolicyKind::AuditLogger => read_audit_logger(field, findings).map(PolicySettings::AuditLogger),
    }
}

fn read_prompt_injection(field: &Field<'_>, findings: &mut Collector) -> Option<PromptInjection> {
    const ACTIONS: &[(&str, DetectAction)] =
        &[("block", DetectAction::Block), ("log", DetectAction::Log), ("escalate", DetectAction::Escalate)];
    let fields = Fields::of(field, &["mode", "response", "detection"], findings)?;
    let mode = read_mode(&fields, findings);
    let (mut action, mut message) = (Some(DetectAction::default()), Some(DEFAULT_BLOCK_MESSAGE.to_owned()));
    if let Some(response) = fields.get("response") {
        let response = Fields::of(&response, &["action", "message"], findings);
        let get = |key: &str| response.as_ref().and_then(|fields| fields.get(key));
        action = get("action").map_or(action, |field| field.choice(ACTIONS, findings));
        message = get("message").map_or(message, |field| field.bounded_text(2000, findings));
    }
    let mut attack_patterns = Some(Vec::new());
    if let Some(detection) = fields.get("detection") {
        let detection = Fields::of(&detection, &["attack_patterns"], findings);
        if let Some(field) = detection.and_then(|fields| fields.get("attack_patterns")) {
            attack_patterns = patterns::read_list(&field, findings);
        }
    }
    Some(PromptInjection {
        mode: mode?,
        action: action?,
        message: message?,
        attack_patterns: attack_patterns?,
    })
}

fn read_pii_detector(field: &Field<'_>, findings: &mut Collector) -> Option<PiiDetector> {
    const ACTIONS: &[(&str, PiiAction)] = &[("redact", PiiAction::Redact), ("block", PiiAction::Block)];
    const FORMATS: &[(&str, MarkerFormat)] =
        &[("label", MarkerFormat::Label), ("mask", MarkerFormat::Mask), ("partial", MarkerFormat::Partial)];
    let known = ["mode", "action", "pci_mode", "healthcare_mode", "detect_patterns", "redaction"];
    let fields = Fields::of(field, &known, findings)?;
    let mode = read_mode(&fields, findings);
    let action =
        fields.get("action").map_or(Some(PiiAction::default()), |field| field.choice(ACTIONS, findings));
    let pci_mode = fields.get("pci_mode").map_or(Some(true), |field| field.boolean(findings));
    let healthcare_mode = fields.get("healthcare_mode").map_or(Some(false), |field| field.boolean(findings));
    let detect_patterns = fields
        .get("detect_patterns")
        .map_or(Some(BTreeMap::new()), |field| patterns::read_map(&field, findings));
    let (mut marker_format, mut custom_markers) = (Some(MarkerFormat::default()), Some(BTreeMap::new()));
    if let Some(redaction) = fields.get("redaction") {
        let redaction = Fields::of(&redaction, &["marker_format", "custom_markers"], findings);
        let get = |key: &str| redaction.as_ref().and_then(|fields| fields.get(key));
        marker_format = get("marker_format").map_or(marker_format, |field| field.choice(FORMATS, findings));
        if let Some(field) = get("custom_markers") {
            custom_markers = read_markers(&field, findings);
            // with patterns that are wrong, which labels there are is not known
            if let (Some(_), Some(patterns)) = (&custom_markers, &detect_patterns) {
                warn_about_markers(&field, patterns, findings);
            }
        }
    }
    Some(PiiDetector {
        mode: mode?,
        action: action?,
        pci_mode: pci_mode?,
        healthcare_mode: healthcare_mode?,
        detect_patterns: detect_patterns?,
        marker_format: marker_format?,
        custom_markers: custom_markers?,
    })
}

fn read_audit_logger(field: &Field<'_>, findings: &mut Collector) -> Option<AuditLogger> {
    let fields = Fields::of(field, &["mode", "include_content"], findings)?;
    let mode = read_mode(&fields, findings);
    let include_content = fields.get("include_content").map_or(Some(false), |field| field.boolean(findings));
    Some(AuditLogger { mode: mode?, include_content: include_content? })
}

fn read_mode(fields: &Fields<'_>, findings: &mut Collector) -> Option<PolicyMode> {
    fields.get("mode").map_or(Some(PolicyMode::default()), |field| field.choice(MODES, findings))
}

fn read_markers(field: &Field<'_>, findings: &mut Collector) -> Option<BTreeMap<String, String>> {
    let entries = field.entries("a mapping from label to replacement text", findings)?;
    if entries.len() > MAX_MARKERS {
        let message = format!("`{}` has {} markers; the limit is {MAX_MARKERS}", field.path, entries.len());
        return field.bad_value(message, "shorten it", findings);
    }
    let mut markers = BTreeMap::new();
    for entry in entries {
        let value = Field { path: join(&field.path, &path_key(&entry.key)), node: &entry.value };
        if !is_label(&entry.key) {
            report_label(&entry.key, &value.path, entry.key_at, findings);
        } else if let Some(text) = value.bounded_text(200, findings) {
            markers.insert(entry.key.clone(), text);
        }
    }
    (markers.len() == entries.len()).then_some(markers)
}

/// A marker that nothing asks for: mostly a misspelled label, whose data then gets the default marker.
fn warn_about_markers(field: &Field<'_>, patterns: &BTreeMap<String, String>, findings: &mut Collector) {
    let labels = PII_LABELS.iter().copied().chain(patterns.keys().map(String::as_str));
    let compared: Vec<&str> = labels.take(PII_LABELS.len() + COMPARED_LABELS).collect();
    let NodeKind::Mapping(entries) = &field.node.kind else { return };
    for entry in entries {
        let label = entry.key.as_str();
        if !is_label(label) || PII_LABELS.contains(&label) || patterns.contains_key(label) {
            continue;
        }
        let path = join(&field.path, &path_key(label));
        let message = format!("nothing is detected under the label {}", echo(label));
        findings.add(rules::UNUSED_MARKER, &path, entry.key_at, message, suggest(label, &compared));
    }
}

/// Headers that say something to the gateway itself, or never reach a policy.
const NO_IDENTITY: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The header that names the consumer, in lower case.
fn read_consumer_header(fields: &Fields<'_>, findings: &mut Collector) -> Option<String> {
    match fields.get("consumer_header") {
        Some(field) => header_name(&field, &field.text(findings)?, findings),
        None => Some(CONSUMER_HEADER.to_owned()),
    }
}

/// The name of a header that says who asks, in lower case.
pub(super) fn header_name(field: &Field<'_>, name: &str, findings: &mut Collector) -> Option<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let lower = name.to_ascii_lowercase();
    let reserved = lower.starts_with("x-kt-") || NO_IDENTITY.contains(&lower.as_str());
    if reserved || name.is_empty() || name.len() > 64 || !name.bytes().all(is_token) {
        let message = format!("`{}`: {} cannot be the header that says who asks", field.path, echo(name));
        let suggestion = "write the name of a header that your ingress sets, as x-consumer";
        return field.bad_value(message, suggestion, findings);
    }
    Some(lower)
}

/// `[A-Z][A-Z0-9_]{0,31}`
pub(super) fn is_label(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.len() <= 32
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

pub(super) fn report_label(label: &str, path: &str, at: Location, findings: &mut Collector) {
    let message = format!("{} is no label: [A-Z][A-Z0-9_]{{0,31}}", echo(label));
    let suggestion = "write a label such as EMAIL or EMPLOYEE_ID";
    findings.add(rules::BAD_VALUE, path, at, message, suggestion);
}

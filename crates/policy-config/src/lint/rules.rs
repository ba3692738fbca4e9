//! The rules of lint: every code there is, its severity and its meaning in one line.
//!
//! Codes are stable; `docs/reference/lint.md` explains each and a test compares the two.

use super::report::Severity::{self, Error, Warning};

/// One rule of lint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    pub code: &'static str,
    pub severity: Severity,
    /// One line, as in the table of the reference.
    pub title: &'static str,
}

macro_rules! rules {
    ($($name:ident = $code:literal, $severity:ident, $title:literal;)*) => {
        $(pub const $name: Rule = Rule { code: $code, severity: $severity, title: $title };)*
        /// Every rule, by code.
        pub const RULES: &[Rule] = &[$($name),*];
    };
}

rules! {
    UNKNOWN_KIND = "E001", Error, "unknown policy kind";
    UNKNOWN_KEY = "E002", Error, "unknown key";
    NO_BLOCK = "E003", Warning, "chain entry without a block; its defaults apply";
    MISSING_KEY = "E004", Error, "required key is missing";
    WRONG_TYPE = "E005", Error, "value of the wrong type";
    BAD_VALUE = "E006", Error, "value outside of what is accepted";
    UNKNOWN_PROVIDER = "E007", Error, "unknown provider";
    DUPLICATE_TARGET = "E008", Error, "two targets with one id";
    DUPLICATE_CHAIN_ENTRY = "E009", Error, "policy twice in the chain";
    EMPTY_CHAIN = "E010", Error, "empty chain";
    NO_TARGET = "E011", Error, "no target";
    LITERAL_SECRET = "E012", Error, "literal secret";
    BAD_SECRET_REF = "E013", Error, "bad secret_key_ref";
    BAD_BASE_URL = "E014", Error, "bad base_url";
    METADATA_ADDRESS = "E015", Error, "base_url is a cloud metadata address";
    BAD_DURATION = "E016", Error, "bad duration";
    BAD_REGEX = "E017", Error, "bad regular expression";
    TOO_MANY_ITEMS = "E018", Error, "too many items in a list or mapping";
    EMPTY_FILE = "E020", Error, "empty file";
    FILE_TOO_BIG = "E021", Error, "file over 256 KiB";
    NOT_UTF8 = "E022", Error, "file is not UTF-8";
    SYNTAX = "E023", Error, "not YAML";
    NOT_ONE_DOCUMENT = "E024", Error, "more than one document";
    DUPLICATE_KEY = "E025", Error, "duplicate key";
    ANCHOR_OR_ALIAS = "E026", Error, "anchor, alias or merge key";
    TAG = "E027", Error, "tag";
    FORBIDDEN_CHARACTER = "E028", Error, "control, bidirectional or byte order mark character";
    TOO_DEEP = "E029", Error, "nesting deeper than 32";
    TOO_MANY_NODES = "E030", Error, "more than 20 000 nodes";
    SCALAR_TOO_LONG = "E031", Error, "text over 64 KiB";
    TOO_MANY_FINDINGS = "E032", Error, "more findings than are shown";
    NOT_JSON = "E033", Error, "golden file is not JSON";
    UNUSED_BLOCK = "W001", Warning, "block that no chain names";
    PLAIN_HTTP = "W002", Warning, "key sent over plain http:// to a public host";
    MATCHES_ANYTHING = "W003", Warning, "pattern that matches any text";
    LOGS_BEFORE_REDACTION = "W004", Warning, "content is logged before it is redacted";
    UNUSED_MARKER = "W005", Warning, "marker for a label that nothing detects";
    UNKNOWN_NAME = "W006", Warning, "name or glob that no target has";
    HIDDEN_RULE = "W007", Warning, "rule that an earlier one hides";
    UNUSED_WEIGHT = "W010", Warning, "weight without weighted routing";
    GUARD_REMOVED = "R001", Error, "change: a guard policy leaves the chain";
    GUARD_SHADOWED = "R002", Error, "change: a guard policy goes to shadow";
    SIZE_DOUBLED = "R003", Error, "change: the pack at least doubles in size";
    SECRET_TO_NEW_HOST = "R004", Error, "change: a known secret is sent to a new host";
    VERSION_NOT_BUMPED = "R005", Warning, "change: other content under the same pack.version";
    VERSION_LOWERED = "R006", Warning, "change: a lower pack.version";
    NO_EFFECT = "R007", Warning, "change: only the form; no effective change";
}

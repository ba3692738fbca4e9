//! A policy file: bytes, their digest, and what they say. The only place that reads YAML.
//!
//! Limits are checked before and while the tree is built, so hostile input costs no more than a look.

mod locate;
mod source;
mod syntax;

use std::collections::HashMap;

use serde_yaml::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::digest::ConfigDigest;
use crate::lint::collector::{Collector, echo, is_forbidden};
use crate::lint::report::LintReport;
use crate::lint::rules;
use crate::location::Location;
use crate::schema::{PackVersion, PolicyConfig, TestSuite, read};
use crate::tree::{Entry, Node, NodeKind, Scalar};
use syntax::Stumble;

/// Largest file, in bytes.
pub const MAX_SOURCE_BYTES: usize = 256 * 1024;
/// Deepest nesting of lists and mappings.
pub const MAX_DEPTH: usize = 32;
/// Most keys and values in one file.
pub const MAX_NODES: usize = 20_000;
/// Longest single key or value, in bytes.
pub const MAX_SCALAR_BYTES: usize = 64 * 1024;
/// How many unquoted values are stepped over to find what else is wrong.
const MAX_REPAIRS: usize = 8;

/// The bytes of one policy file as authored, with their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDocument {
    source: Vec<u8>,
    /// More than `source` has where only its beginning was read.
    size: u64,
    digest: ConfigDigest,
}

/// One attempt to build the tree.
enum Attempt {
    /// The whole tree; `None` when the file holds no document.
    Whole(Option<Node>),
    /// A limit was met or a second document begun: what is there is only a part.
    Cut,
    /// The text is not YAML here.
    Stumbled(Stumble),
}

/// Builds a tree from parser events; refuses what a pack may not hold.
struct Builder<'c> {
    findings: &'c mut Collector,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    last_scalar: Option<Location>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    at: Location,
    collection: Collection,
}

enum Collection {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<Entry>, seen: HashMap<String, Location>, key: Option<Key> },
}

/// A key that waits for its value; `text` is `None` when the key was refused.
struct Key {
    text: Option<String>,
    at: Location,
}

/// Stop building: a limit was met and reported.
struct LimitMet;

// === impl PolicyDocument ===

impl PolicyDocument {
    pub fn new(source: impl Into<Vec<u8>>) -> Self {
        let source = source.into();
        let digest = ConfigDigest::of(&source);
        let size = u64::try_from(source.len()).unwrap_or(u64::MAX);
        Self { source, size, digest }
    }

    pub fn source(&self) -> &[u8] {
        &self.source
    }

    pub fn digest(&self) -> ConfigDigest {
        self.digest
    }

    /// Every finding at once, in the order of the file; a config only when none of them is an error.
    pub fn parse(&self) -> (Option<PolicyConfig>, LintReport) {
        let (whole, report) = self.parse_with_suites();
        (whole.map(|(config, _)| config), report)
    }

    /// As [`Self::parse`], with the suites under `testing`.
    pub fn parse_with_suites(&self) -> (Option<(PolicyConfig, Vec<TestSuite>)>, LintReport) {
        let mut findings = Collector::default();
        let whole = source::check(&self.source, self.size, &mut findings)
            .and_then(|text| read_tree(&text, &mut findings))
            .and_then(|root| read::read_pack_file(&root, &mut findings));
        let whole = if findings.has_errors() { None } else { whole };
        (whole, findings.finish())
    }

    /// `pack.version` of a file that is whole YAML, also where lint refuses what else is in it.
    pub fn version(&self) -> Option<PackVersion> {
        let mut findings = Collector::default();
        let text = source::check(&self.source, self.size, &mut findings)?;
        let root = read_tree(&text, &mut findings).filter(|_| !findings.has_errors())?;
        root.entry("pack")?.entry("version")?.as_scalar()?.text.parse().ok()
    }
}

/// The tree of `text`. An unquoted value with `: ` in it is reported and stepped over, so that what else
/// is wrong is reported as well.
fn read_tree(text: &str, findings: &mut Collector) -> Option<Node> {
    let mut text = std::borrow::Cow::Borrowed(text);
    for _ in 0..=MAX_REPAIRS {
        let mut of_attempt = Collector::default();
        let attempt = build(&text, &mut of_attempt);
        match attempt {
            Attempt::Whole(root) => {
                findings.append(of_attempt);
                if root.is_none() {
                    let at = Location { line: 1, column: 1 };
                    findings.add(
                        rules::EMPTY_FILE,
                        "",
                        at,
                        "there is nothing in the file but comments",
                        read::OUTLINE,
                    );
                }
                return root;
            }
            Attempt::Cut => {
                findings.append(of_attempt);
                return None;
            }
            Attempt::Stumbled(stumble) => match syntax::step_over(&text, &stumble) {
                Some((repaired, quote)) => {
                    quote.report(findings);
                    text = repaired.into();
                }
                None => {
                    findings.append(of_attempt);
                    stumble.report(&text, findings);
                    return None;
                }
            },
        }
    }
    None
}

fn build(text: &str, findings: &mut Collector) -> Attempt {
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_anchor_events: true,
        emit_unresolved_aliases: true,
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder { findings, open: Vec::new(), root: None, nodes: 0, last_scalar: None };
    let mut documents = 0;
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => return builder.stumbled(&error),
        };
        if let Event::DocumentStart(..) = event {
            documents += 1;
            if documents > 1 {
                builder.findings.add(
                    rules::NOT_ONE_DOCUMENT,
                    "",
                    start_of(&span),
                    "a second document begins here; a pack is exactly one document",
                    "remove the `---` or `...` line, or put the second document into a file of its own",
                );
                return Attempt::Cut;
            }
        }
        if let Err(LimitMet) = builder.take(event, &span) {
            return Attempt::Cut;
        }
    }
    Attempt::Whole(builder.root)
}

// === impl Builder ===

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), LimitMet> {
        let at = start_of(span);
        match event {
            Event::Scalar(text, style, _, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                self.count(at)?;
                let scalar = self.scalar(&text, style, at)?;
                self.last_scalar = Some(at);
                self.place(Node { at, kind: NodeKind::Scalar(scalar) });
            }
            Event::SequenceStart(_, _, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                self.begin(Collection::Sequence(Vec::new()), at)?;
            }
            Event::MappingStart(_, _, tag) => {
                self.refuse_tag(tag.as_deref(), span);
                let collection = Collection::Mapping { entries: Vec::new(), seen: HashMap::new(), key: None };
                self.begin(collection, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Anchor(..) => self.refuse_reference("an anchor (`&`) is not accepted", at),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.count(at)?;
                self.refuse_reference("an alias (`*`) is not accepted", at);
                self.place(Node { at, kind: NodeKind::Scalar(Scalar { text: String::new(), plain: true }) });
            }
            _ => {}
        }
        Ok(())
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, span: &Span) {
        if tag.is_some() {
            let at = span.tag_span().map_or_else(|| start_of(span), |tag_span| start_of(&tag_span));
            let message = "a tag (`!`) is not accepted; the schema alone decides what a value is";
            self.findings.add(
                rules::TAG,
                "",
                at,
                message,
                "remove the tag, or quote the value if it begins with `!`",
            );
        }
    }

    fn refuse_reference(&mut self, message: &str, at: Location) {
        let suggestion = "write the value out where it is used, or quote it if it begins with `&` or `*`";
        self.findings.add(rules::ANCHOR_OR_ALIAS, "", at, message, suggestion);
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: Location) -> Result<Scalar, LimitMet> {
        if text.len() > MAX_SCALAR_BYTES {
            let message =
                format!("this text has {} bytes; the limit is {MAX_SCALAR_BYTES} (64 KiB)", text.len());
            self.findings.add(rules::SCALAR_TOO_LONG, "", at, message, "shorten it");
            return Err(LimitMet);
        }
        // Raw ones were reported when the bytes were checked; this one hides behind an escape.
        if let Some(c) = text.chars().find(|c| is_forbidden(*c)) {
            source::report_character(c, at, self.findings);
        }
        Ok(Scalar { text: text.to_owned(), plain: style == ScalarStyle::Plain })
    }

    fn begin(&mut self, collection: Collection, at: Location) -> Result<(), LimitMet> {
        self.count(at)?;
        if self.open.len() >= MAX_DEPTH {
            report_depth(at, self.findings);
            return Err(LimitMet);
        }
        self.open.push(Open { at, collection });
        Ok(())
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let kind = match open.collection {
            Collection::Sequence(items) => NodeKind::Sequence(items),
            Collection::Mapping { entries, .. } => NodeKind::Mapping(entries),
        };
        self.place(Node { at: open.at, kind });
    }

    fn count(&mut self, at: Location) -> Result<(), LimitMet> {
        self.nodes += 1;
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let message = format!("the file has more than {MAX_NODES} keys and values");
        self.findings.add(rules::TOO_MANY_NODES, "", at, message, "split or shorten the pack");
        Err(LimitMet)
    }

    /// Puts a finished node where it belongs: document, list item, key or value.
    fn place(&mut self, node: Node) {
        match self.open.last_mut().map(|open| &mut open.collection) {
            None => self.root = Some(node),
            Some(Collection::Sequence(items)) => items.push(node),
            Some(Collection::Mapping { entries, seen, key }) => match key.take() {
                None => *key = Some(read_key(node, seen, self.findings)),
                Some(Key { text: Some(text), at }) => {
                    let value = if is_implicit_null(&node) { Node { at, ..node } } else { node };
                    entries.push(Entry { key: text, key_at: at, value });
                }
                Some(Key { text: None, .. }) => {}
            },
        }
    }

    fn stumbled(&mut self, error: &ScanError) -> Attempt {
        let at = Location { line: number(error.marker().line()), column: number(error.marker().col() + 1) };
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            report_depth(at, self.findings);
            return Attempt::Cut;
        }
        Attempt::Stumbled(Stumble {
            at,
            last_scalar: self.last_scalar,
            cause: syntax_cause(error.kind()),
            text: error.info(),
        })
    }
}

fn report_depth(at: Location, findings: &mut Collector) {
    let message = format!("lists and mappings are nested deeper than {MAX_DEPTH}");
    findings.add(
        rules::TOO_DEEP,
        "",
        at,
        message,
        "a pack needs no more than 6 levels; check for stray brackets or dashes",
    );
}

fn read_key(node: Node, seen: &mut HashMap<String, Location>, findings: &mut Collector) -> Key {
    let at = node.at;
    let NodeKind::Scalar(scalar) = node.kind else {
        findings.add(rules::WRONG_TYPE, "", at, "a key is text, not a list or mapping", "write `key: value`");
        return Key { text: None, at };
    };
    if scalar.plain && scalar.text == "<<" {
        let message = "a merge key (`<<`) is not accepted";
        findings.add(rules::ANCHOR_OR_ALIAS, "", at, message, "write the keys out where they are used");
        return Key { text: None, at };
    }
    if let Some(first) = seen.get(&scalar.text) {
        let message =
            format!("the key {} is given twice; the first is at line {}", echo(&scalar.text), first.line);
        findings.add(rules::DUPLICATE_KEY, "", at, message, "keep one of the two");
        return Key { text: None, at };
    }
    seen.insert(scalar.text.clone(), at);
    Key { text: Some(scalar.text), at }
}

/// `key:` with nothing behind it; the parser puts that null wherever it noticed, so the key's place is used.
fn is_implicit_null(node: &Node) -> bool {
    node.as_scalar().is_some_and(|scalar| scalar.plain && (scalar.text == "~" || scalar.text.is_empty()))
}

fn syntax_cause(kind: &ErrorKind) -> syntax::Cause {
    use syntax::Cause;
    match kind {
        ErrorKind::MappingValueNotAllowed => Cause::UnquotedColon,
        ErrorKind::UnclosedQuotedScalar => Cause::OpenQuote,
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => Cause::OpenBracket,
        ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation | ErrorKind::TabNotAllowed => {
            Cause::Tab
        }
        ErrorKind::UnexpectedCharacter { .. } => Cause::BadFirstCharacter,
        ErrorKind::DirectiveDisallowed => Cause::Directive,
        ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockMappingKey | ErrorKind::SimpleKeyExpected => {
            Cause::Indentation
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            Cause::AfterQuote
        }
        ErrorKind::UnknownQuotedScalarEscape => Cause::Escape,
        _ => Cause::Other,
    }
}

fn start_of(span: &Span) -> Location {
    Location { line: number(span.start.line()), column: number(span.start.col() + 1) }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

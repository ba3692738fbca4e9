//! Policy files: bytes → findings and config → canonical form → the same config → an engine that tests itself.

mod grammar;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use fastrand::Rng;
use policy_config::canonical::canonical;
use policy_config::diff::diff;
use policy_config::lint::excerpt::{Excerpt, excerpt, masked};
use policy_config::schema::UpstreamResponse;
use policy_config::{Finding, LintReport, PolicyConfig, PolicyDocument};
use policy_engine::{CompileError, Engine, Secrets};

use crate::engine::{Target, Watch};
use crate::json;

/// What is tried; a planted bug stands in for one of them.
pub(crate) struct Yaml {
    pub(crate) parse: fn(&[u8]) -> (Option<PolicyConfig>, LintReport),
    pub(crate) canonical: fn(&PolicyConfig) -> String,
    pub(crate) excerpt: fn(&[u8], &Finding) -> Option<Excerpt>,
    pub(crate) masked: fn(&str, &[Finding]) -> String,
    pub(crate) compile: fn(&PolicyConfig) -> Result<Engine, CompileError>,
    pub(crate) compiled: HashSet<u64>,
    pub(crate) asked: usize,
}

/// Shaped like a key, so never repeated where it stands as a word.
pub(crate) const KEY: &str = "sk-fuzz0canary0word";
/// No key by its shape; behind the name of a secret it is one all the same.
pub(crate) const NAMED: &str = "hunter2canary";

/// About the whole file, so without a line.
const WHOLE_FILE: [&str; 3] = ["E020", "E021", "E022"];

// === impl Yaml ===

impl Default for Yaml {
    fn default() -> Self {
        Self {
            parse: |source| PolicyDocument::new(source).parse(),
            canonical,
            excerpt,
            masked,
            compile: |config| Engine::compile(config, Secrets::new()),
            compiled: HashSet::new(),
            asked: 0,
        }
    }
}

impl Target for Yaml {
    fn name(&self) -> &'static str {
        "yaml"
    }

    fn tokens(&self) -> &'static [&'static [u8]] {
        grammar::TOKENS
    }

    fn generate(&self, rng: &mut Rng) -> Vec<u8> {
        grammar::pack(rng)
    }

    fn check(&mut self, input: &[u8], watch: &mut Watch) -> Result<String, String> {
        let (config, report) = watch.time(|| (self.parse)(input));
        if input.len() <= 4096 && (self.parse)(input) != (config.clone(), report.clone()) {
            return Err("the same bytes, the same answer: two parses differ".to_owned());
        }
        if config.is_some() != report.admissible() {
            return Err(format!("a config exactly when there is no error: {report:?}"));
        }
        self.check_findings(input, &report)?;
        self.check_masked(input, &report, watch)?;
        let Some(config) = config else { return Ok(codes(&report)) };
        let form = (self.canonical)(&config);
        let again = (self.parse)(form.as_bytes()).0;
        if again.as_ref() != Some(&config) || !again.is_some_and(|again| diff(&config, &again).is_empty()) {
            return Err(format!("the canonical form says the same: {form}"));
        }
        let suites = check_suites(input)?;
        let compiles = self.check_engine(&config)?;
        Ok(format!("a pack {compiles} {suites} {}", codes(&report)))
    }

    fn must_meet(&self) -> &'static [&'static str] {
        &[
            "a pack compiles",
            "with suites",
            "E001",
            "E002",
            "E004",
            "E005",
            "E006",
            "E008",
            "E010",
            "E012",
            "E013",
            "E014",
            "E015",
            "E016",
            "E017",
            "E020",
            "E022",
            "E023",
            "E024",
            "E025",
            "E026",
            "E027",
            "E028",
            "E029",
            "W00",
        ]
    }
}

impl Yaml {
    fn check_findings(&self, input: &[u8], report: &LintReport) -> Result<(), String> {
        let newlines = input.iter().filter(|byte| **byte == b'\n').count();
        let lines = u32::try_from(newlines).unwrap_or(u32::MAX - 1) + 1;
        let hidden = hidden(input);
        for (index, finding) in report.findings.iter().enumerate() {
            let line = finding.location.line;
            if (line == 0) != WHOLE_FILE.contains(&&*finding.code) && !(line == 1 && finding.code == "E020") {
                return Err(format!("a line, unless it is about the whole file: {finding:?}"));
            }
            if line > lines {
                return Err(format!("a line of the file, which has {lines}: {finding:?}"));
            }
            if finding.message.is_empty() || finding.message.chars().count() >= 1000 {
                return Err(format!("a message, and not a long one: {finding:?}"));
            }
            let said = [&*finding.message, &*finding.path, &*finding.suggestion].join("\n");
            if said.chars().any(|c| c.is_control() && c != '\n') {
                return Err(format!("nothing that moves a terminal: {finding:?}"));
            }
            let shown = if index < 20 { (self.excerpt)(input, finding) } else { None };
            let shown = shown.map(|shown| shown.text).unwrap_or_default();
            if shown.chars().count() > 160 || shown.chars().any(char::is_control) {
                return Err(format!("an excerpt that a terminal can show: {shown:?}"));
            }
            if let Some(secret) =
                hidden.iter().find(|secret| said.contains(**secret) || shown.contains(**secret))
            {
                return Err(format!("no secret is repeated: {secret} in {finding:?} or {shown:?}"));
            }
        }
        Ok(())
    }

    /// What `kt` prints of a file beside its findings.
    fn check_masked(&self, input: &[u8], report: &LintReport, watch: &mut Watch) -> Result<(), String> {
        let Ok(text) = std::str::from_utf8(input) else { return Ok(()) };
        let shown = watch.time(|| (self.masked)(text, &report.findings));
        if let Some(secret) = hidden(input).into_iter().find(|secret| shown.contains(secret)) {
            return Err(format!("no secret is shown: {secret} in {shown:?}"));
        }
        if text.chars().count() != shown.chars().count() || text.lines().count() != shown.lines().count() {
            return Err(format!("what is masked keeps its places: {shown:?}"));
        }
        Ok(())
    }

    /// Compiling takes as long as a hundred parses, so each set of policies is compiled once, and not too many are.
    fn check_engine(&mut self, config: &PolicyConfig) -> Result<String, String> {
        let mut hasher = DefaultHasher::new();
        format!("{:?}", config.policies).hash(&mut hasher);
        self.asked += 1;
        if self.compiled.len() > 4 + self.asked / 8 || !self.compiled.insert(hasher.finish()) {
            return Ok(String::new());
        }
        match (self.compile)(config) {
            Ok(engine) => Ok(match engine.self_test() {
                Ok(()) => "compiles".to_owned(),
                Err(error) => format!("fails its self-test: {}", first_word(&error.to_string())),
            }),
            Err(error)
                if error
                    .findings
                    .iter()
                    .any(|finding| finding.path.is_empty() || finding.code.is_empty()) =>
            {
                Err(format!("what does not compile has a path and a code: {error:?}"))
            }
            Err(error) => Ok(format!("is refused by {}", error.findings[0].code)),
        }
    }
}

/// What goes through the engine later is JSON.
fn check_suites(input: &[u8]) -> Result<&'static str, String> {
    let (Some((_, suites)), _) = PolicyDocument::new(input).parse_with_suites() else {
        return Err("a pack with its suites exactly when there is one without".to_owned());
    };
    for case in suites.iter().flat_map(|suite| &suite.cases) {
        let read = json::read(case.messages.as_bytes());
        if !read.is_none_or(|json| json.is_ok_and(|json| !json.items().is_empty())) {
            return Err(format!("the messages of a case are a list of JSON: {case:?}"));
        }
        if let Some(UpstreamResponse::Answer(answer)) = &case.upstream_response
            && json::read(answer.as_bytes()).is_some_and(|json| json.is_err())
        {
            return Err(format!("the answer of a case is JSON: {case:?}"));
        }
    }
    Ok(if suites.is_empty() { "" } else { "with suites" })
}

/// The secrets that stand in the input where they are to be seen as secrets, and nowhere else.
fn hidden(input: &[u8]) -> Vec<&'static str> {
    let Ok(text) = std::str::from_utf8(input) else { return Vec::new() };
    let apart = |c: Option<char>| c.is_none_or(|c| matches!(c, ' ' | '\n' | '"' | '\'' | ',' | '/' | '@'));
    let is_word =
        |at: usize| apart(text[..at].chars().next_back()) && apart(text[at + KEY.len()..].chars().next());
    let is_named = |at: usize| {
        let line = text[..at].rsplit('\n').next().unwrap_or_default().trim_start();
        matches!(line.trim_start_matches("- "), "secret_key: " | "api_key: " | "password: ")
    };
    let mut hidden = Vec::new();
    if text.match_indices(KEY).all(|(at, _)| is_word(at)) {
        hidden.push(KEY);
    }
    if text.match_indices(NAMED).all(|(at, _)| is_named(at)) {
        hidden.push(NAMED);
    }
    hidden
}

fn codes(report: &LintReport) -> String {
    let mut codes: Vec<&str> = report.findings.iter().map(|finding| &*finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes.join(" ")
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

//! Packs by the schema, with mistakes in them, and YAML that no pack needs.

use fastrand::Rng;

pub(crate) const TOKENS: &[&[u8]] = &[
    b"pack:\n",
    b"  name: a\n",
    b"  version: 1.0.0\n",
    b"  enabled: true\n",
    b"providers:\n  targets:\n",
    b"    - id: a\n",
    b"      base_url: http://169.254.169.254\n",
    b"      timeout: 1h\n",
    b"policies:\n  chain: [audit-logger]\n",
    b"policy:\n  pii-detector: {}\n",
    b"testing:\n  suites:\n",
    b"upstream_response: x\n",
    b"prompt-injection",
    b"pii-detector",
    b"audit-logger",
    b"detect_patterns: {A: 'x'}",
    b"attack_patterns: ['(a+)+$']",
    b"custom_markers: {EMAIL: a@b.org}",
    b"mode: shadow",
    b"---\n",
    b"...\n",
    b"%YAML 1.2\n",
    b"&a ",
    b"*a",
    b"!!str ",
    b"!<x> ",
    b"<<: ",
    b"? ",
    b": ",
    b"- ",
    b"| ",
    b">-\n",
    b"|2+\n  x\n",
    b"[",
    b"]",
    b"{",
    b"}",
    b"[[[[[[[[",
    b"{a: {a: {a: ",
    b"#c\n",
    b"\"\\u202e\"",
    b"\"\\0\"",
    b"\"\\x41\"",
    b"'it''s'",
    b"\t",
    b"\r\n",
    b"\r",
    b"~",
    b"null",
    b"yes",
    b"0o7",
    b"1_0",
    b".inf",
    b"1e3",
    b"secret_key: hunter2canary\n",
    b"api_key: hunter2canary\n",
    b" sk-fuzz0canary0word ",
    b"\"sk-fuzz0canary0word\"",
    b"secret_key_ref: sk-fuzz0canary0word\n",
    b"https://me:sk-fuzz0canary0word@host/",
    b"(?=x)",
    b"a{999}{999}",
    b"\\p{L}",
    b"(?i)stra\xc3\x9fe",
];

const SCALARS: &[&str] = &[
    "a",
    "local-dev",
    "''",
    "\"\"",
    "~",
    "null",
    "true",
    "yes",
    "0",
    "1.10",
    "-1",
    "1e400",
    "\"\\u001b\"",
    "\"\\u202ea\"",
    "'a: b'",
    "a: b",
    "a #b",
    "|\n        x\n",
    ">-\n        x\n        y\n",
    "[a]",
    "{a: b}",
    "&x a",
    "*x",
    "!!int 3",
    "sk-fuzz0canary0word",
    "'sk-fuzz0canary0word'",
    "\u{e9}\u{4e2d}\u{1f600}",
    "\u{202e}",
    "\u{feff}",
    "x\u{85}y",
    "\"a\\\n        b\"",
    "../../etc/passwd",
    "%",
    "@a",
    "`a`",
    "- a",
    "? a",
];
const VERSIONS: &[&str] =
    &["0.1.0", "1.0.0-rc.1", "1.10", "0.1.0+x", "18446744073709551616.0.0", "01.0.0", "v1.0.0"];
const URLS: &[&str] = &[
    "https://api.openai.com",
    "http://localhost:8000/v1/",
    "http://169.254.169.254/",
    "http://2852039166",
    "http://0xa9fea9fe",
    "http://[::ffff:169.254.169.254]",
    "http://[fd00:ec2::254]",
    "https://u:p@h",
    "https://h?q",
    "https://h#f",
    "ftp://h",
    "//h",
    "https://",
    "http://h:99999",
    "https://\u{e4}.example",
    "http://metadata.google.internal.",
    "http://127.1",
    "http://me:sk-fuzz0canary0word@h",
];
const TIMES: &[&str] =
    &["60s", "500ms", "1h", "0s", "5", "-5s", "1h30m", "99999999999999999999h", "1.5s", "5 m"];
const PATTERNS: &[&str] = &[
    "'E[0-9]{6}'",
    "'(?i)secret'",
    "'.*'",
    "''",
    "'('",
    "'a{1000}{1000}'",
    "'\\\\'",
    "\"\\\\d+\"",
    "'[\\p{L}\\p{N}]{20}'",
    "'(?=x)'",
    "'^$'",
    "'\\bboats\\b'",
    "'x|y|'",
    "'(?-u)\\xff'",
    "'[^\\x00-\\x7f]'",
    "'lake'",
    "'\\w{99}'",
];
const KINDS: &[&str] =
    &["prompt-injection", "pii-detector", "audit-logger", "rate-limit", "pii-detectr", "~", "[]"];

/// A pack: each line right for the most part, and here and there something else.
pub(crate) fn pack(rng: &mut Rng) -> Vec<u8> {
    // how many choices in a hundred are wrong
    let wrong = [0, 0, 3, 10, 40][rng.usize(0..5)];
    let mut made = Made { text: String::new(), rng, wrong };
    made.pack();
    let mut text = made.text;
    match rng.u8(0..12) {
        0 => text = text.replace('\n', "\r\n"),
        1 => text = format!("\u{feff}{text}"),
        2 => text = format!("---\n{text}..."),
        3 => text = nested(rng),
        _ => {}
    }
    text.into_bytes()
}

/// Lists in mappings in lists, in flow and in block style.
fn nested(rng: &mut Rng) -> String {
    let depth = rng.usize(1..40);
    let mut text = String::new();
    for level in 0..depth {
        match rng.u8(0..4) {
            0 => text += "[",
            1 => text += "{a: ",
            2 => text += &format!("\n{}k{level}: ", " ".repeat(level)),
            _ => text += &format!("\n{}- ", " ".repeat(level)),
        }
    }
    text + SCALARS[rng.usize(0..SCALARS.len())]
}

struct Made<'r> {
    text: String,
    rng: &'r mut Rng,
    wrong: u32,
}

// === impl Made ===

impl Made<'_> {
    fn pack(&mut self) {
        let name = self.scalar("local-dev");
        let version = self.one(VERSIONS);
        let enabled = self.flag();
        self.line(0, "pack:");
        self.line(2, &format!("name: {name}"));
        self.line(2, &format!("version: {version}"));
        self.line(2, &format!("enabled: {enabled}"));
        if self.rng.bool() {
            let text = self.scalar("'about boats'");
            self.line(2, &format!("description: {text}"));
        }
        self.line(0, "providers:");
        self.line(2, "targets:");
        for at in 0..self.rng.usize(1..4) {
            self.target(at);
        }
        self.policies();
        if self.rng.u8(0..4) == 0 {
            self.testing();
        }
    }

    fn testing(&mut self) {
        self.line(0, "testing:");
        self.line(2, "suites:");
        let suite = self.scalar("answers");
        self.line(4, &format!("- name: {suite}"));
        self.line(6, "cases:");
        for at in 0..self.rng.usize(1..3) {
            let name = self.scalar(&format!("case {at}"));
            let (role, content, answer) =
                (self.scalar("user"), self.scalar("hello"), self.scalar("'to a@b.org'"));
            let verdict = self.one(&["allow", "redact", "block", "escalate", "alow"]);
            let reason = self.one(&["null", "pii.detected", "~", "5"]);
            self.line(8, &format!("- name: {name}"));
            self.line(10, "input:");
            self.line(12, "messages:");
            self.line(14, &format!("- role: {role}"));
            self.line(16, &format!("content: {content}"));
            match self.rng.u8(0..4) {
                0 => self.line(10, &format!("upstream_response: {answer}")),
                1 => self.line(
                    10,
                    &format!("upstream_response: {{choices: [{{message: {{content: {answer}}}}}], n: 1.5}}"),
                ),
                _ => {}
            }
            self.line(10, "expected:");
            self.line(12, &format!("verdict: {verdict}"));
            self.line(12, &format!("reason_code: {reason}"));
        }
    }

    fn target(&mut self, at: usize) {
        let id = self.scalar(&format!("t{at}"));
        let provider =
            if self.slips() { "opnai" } else { ["openai", "openai-compatible"][self.rng.usize(0..2)] };
        let url = self.one(URLS);
        self.line(4, &format!("- id: {id}"));
        self.line(6, &format!("provider: {provider}"));
        let model = self.scalar("gpt-*");
        self.line(6, &format!("model: {model}"));
        self.line(6, &format!("base_url: {url}"));
        match self.rng.u8(0..8) {
            0 => self.line(6, "secret_key_ref: {file: key}"),
            1..4 => self.line(6, "secret_key_ref: {env: OPENAI_API_KEY}"),
            4 if self.wrong > 0 => self.line(6, "secret_key: hunter2canary"),
            5 if self.wrong > 0 => self.line(6, "secret_key_ref: {env: A, file: b}"),
            _ => {}
        }
        if self.rng.bool() {
            let time = self.one(TIMES);
            self.line(6, &format!("timeout: {time}"));
        }
    }

    fn policies(&mut self) {
        let mut kinds: Vec<&str> = Vec::new();
        for _ in 0..self.rng.usize(1..4) {
            let kind = if self.slips() {
                KINDS[self.rng.usize(0..KINDS.len())]
            } else {
                KINDS[self.rng.usize(0..3)]
            };
            if self.slips() || !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        self.line(0, "policies:");
        self.line(2, &format!("chain: [{}]", kinds.join(", ")));
        self.line(0, "policy:");
        for kind in kinds {
            self.line(2, &format!("{kind}:"));
            let mode = if self.rng.bool() { "enforce" } else { "shadow" };
            self.line(4, &format!("mode: {mode}"));
            match kind {
                "prompt-injection" => {
                    let action = ["block", "log", "escalate"][self.rng.usize(0..3)];
                    let message = self.scalar("'no: never'");
                    let pattern = self.one(PATTERNS);
                    self.line(4, &format!("response: {{action: {action}, message: {message}}}"));
                    // patterns take long to compile, so not every pack has some
                    if self.rng.u8(0..4) == 0 {
                        self.line(4, &format!("detection: {{attack_patterns: [{pattern}]}}"));
                    }
                }
                "pii-detector" => {
                    let format = ["label", "mask", "partial"][self.rng.usize(0..3)];
                    let (marker, pattern) = (self.scalar("<mail>"), self.one(PATTERNS));
                    let (pci, action) = (self.flag(), ["redact", "block"][self.rng.usize(0..2)]);
                    self.line(4, &format!("action: {action}"));
                    let health = self.flag();
                    self.line(4, &format!("pci_mode: {pci}"));
                    self.line(4, &format!("healthcare_mode: {health}"));
                    if self.rng.u8(0..4) == 0 {
                        self.line(4, &format!("detect_patterns: {{EMPLOYEE: {pattern}}}"));
                    }
                    self.line(
                        4,
                        &format!(
                            "redaction: {{marker_format: {format}, custom_markers: {{EMAIL: {marker}}}}}"
                        ),
                    );
                }
                _ => {
                    let content = self.flag();
                    self.line(4, &format!("include_content: {content}"));
                }
            }
        }
    }

    fn line(&mut self, indent: usize, line: &str) {
        let indent = if self.slips() { self.rng.usize(0..12) } else { indent };
        self.text += &" ".repeat(indent);
        let key = line.split(':').next().unwrap_or_default();
        match self.rng.u8(0..6) {
            0 if self.slips() => self.text += &line.replacen(key, &format!("{key}x"), 1),
            1 if self.slips() => self.text += &format!("{line}\n{}{line}", " ".repeat(indent)),
            2 if self.slips() => {}
            3 if self.slips() => self.text += &line.replacen(": ", ": &a !t ", 1),
            4 if self.slips() => {
                self.text += &format!("{line} # {}", SCALARS[self.rng.usize(0..SCALARS.len())])
            }
            _ => self.text += line,
        }
        self.text += "\n";
    }

    fn slips(&mut self) -> bool {
        self.rng.u32(0..100) < self.wrong
    }

    fn flag(&mut self) -> String {
        let right = if self.rng.bool() { "true" } else { "false" };
        self.scalar(right)
    }

    fn scalar(&mut self, right: &str) -> String {
        if self.slips() { SCALARS[self.rng.usize(0..SCALARS.len())].to_owned() } else { right.to_owned() }
    }

    /// The first of them is right, so may be others.
    fn one(&mut self, of: &[&'static str]) -> &'static str {
        if self.slips() || self.rng.u8(0..3) == 0 { of[self.rng.usize(0..of.len())] } else { of[0] }
    }
}

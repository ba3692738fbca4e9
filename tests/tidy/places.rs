//! What may stand in one place only: each rule is a set of words and the files that may use them. Comments
//! and tests may speak of anything.

use super::shape::is_test;

pub(crate) struct Rule {
    pub(crate) what: &'static str,
    words: &'static [&'static str],
    /// Beginnings of the paths that may use the words.
    places: &'static [&'static str],
    /// Beginnings of the paths the rule speaks of; empty for all product code.
    within: &'static [&'static str],
}

pub(crate) const RULES: [Rule; 7] = [
    Rule {
        what: "SQL",
        words: &[
            "sqlx::query",
            "sqlx::raw_sql",
            "query!(",
            "query_as!(",
            "query_scalar!(",
            "\"select ",
            "\"SELECT ",
            "insert into ",
            "INSERT INTO ",
            "delete from ",
            "DELETE FROM ",
        ],
        places: &["control-plane/src/store"],
        within: &[],
    },
    Rule {
        what: "YAML",
        words: &["serde_yaml", "serde_saphyr"],
        places: &["crates/policy-config/src/document"],
        within: &[],
    },
    Rule {
        what: "ArcSwap",
        words: &["ArcSwap", "arc_swap"],
        places: &["gateway-agent/src/activation/live.rs"],
        within: &[],
    },
    Rule {
        what: "tonic::Status",
        words: &[
            "Status::new(",
            "Status::with_",
            "Status::cancelled(",
            "Status::unknown(",
            "Status::invalid_argument(",
            "Status::deadline_exceeded(",
            "Status::not_found(",
            "Status::already_exists(",
            "Status::permission_denied(",
            "Status::resource_exhausted(",
            "Status::failed_precondition(",
            "Status::aborted(",
            "Status::out_of_range(",
            "Status::unimplemented(",
            "Status::internal(",
            "Status::unavailable(",
            "Status::data_loss(",
            "Status::unauthenticated(",
        ],
        places: &["control-plane/src/api/status.rs"],
        within: &["control-plane/"],
    },
    Rule {
        what: "tasks",
        words: &[
            "tokio::spawn(",
            "task::spawn(",
            "spawn_local(",
            "JoinSet",
            "TaskTracker",
            "Handle::current()",
        ],
        places: &["crates/service-kit/src/drain"],
        within: &[],
    },
    Rule {
        what: "wall time",
        words: &["SystemTime::now", "now_utc()", "now_local()", "Utc::now", "now_v7()"],
        places: &["crates/service-kit/src/clock.rs"],
        within: &[],
    },
    Rule {
        what: "shown secrets",
        words: &["Display for Secret ", "Serialize for Secret ", "ToString for Secret "],
        places: &[],
        within: &[],
    },
];

// === impl Rule ===

impl Rule {
    pub(crate) fn problems(&self, path: &str, text: &str) -> Vec<String> {
        let spoken_of = self.within.is_empty() || starts_with_any(path, self.within);
        if !spoken_of || starts_with_any(path, self.places) {
            return Vec::new();
        }
        code_lines(path, text)
            .flat_map(|(number, line)| {
                let found = self.words.iter().find(|word| has_word(line, word));
                found.map(|word| {
                    let places =
                        if self.places.is_empty() { "nowhere".into() } else { self.places.join(", ") };
                    format!("{path}:{number}: `{word}` ({}) belongs in {places} only", self.what)
                })
            })
            .collect()
    }
}

/// The numbered lines of product code: no comments, no tests, no build tool.
pub(crate) fn code_lines<'a>(path: &str, text: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let product = !is_test(path) && !path.starts_with("xtask/");
    let mut in_tests = !product;
    text.lines().enumerate().filter_map(move |(index, line)| {
        in_tests |= line.starts_with("#[cfg(test)]");
        let code = line.split("//").next().unwrap_or_default();
        (!in_tests && !code.trim().is_empty()).then_some((index + 1, code))
    })
}

fn starts_with_any(path: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| path.starts_with(beginning))
}

/// Whether the word stands there as a word of its own, not as the end of a longer one (`ExitStatus::new(`).
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|character| character.is_alphanumeric() || character == '_')
    })
}

#[test]
fn every_rule_finds_each_of_its_words_out_of_place_and_none_in_place() {
    for rule in &RULES {
        let elsewhere = rule.within.first().map_or("kt/src/main.rs".to_owned(), |at| format!("{at}src/x.rs"));
        for word in rule.words {
            let code = format!("//! Head.\nfn f() {{ {word} }}\n");
            assert_eq!(rule.problems(&elsewhere, &code).len(), 1, "{}: {word}", rule.what);
            for place in rule.places {
                assert!(rule.problems(place, &code).is_empty(), "{}: {word} in {place}", rule.what);
            }
        }
    }
}

#[test]
fn comments_tests_and_longer_words_are_left_alone() {
    let text = "// Never tokio::spawn( here.\nfn f() {}\n#[cfg(test)]\nmod tests { tokio::spawn(x); }\n";
    let tasks = RULES.iter().find(|rule| rule.what == "tasks").expect("the rule");
    assert!(tasks.problems("kt/src/main.rs", text).is_empty());
    assert!(tasks.problems("tests/e2e/main.rs", "tokio::spawn(x);").is_empty());
    assert!(!has_word("ExitStatus::new(1)", "Status::new("));
    assert!(has_word("tonic::Status::new(1)", "Status::new("));
}

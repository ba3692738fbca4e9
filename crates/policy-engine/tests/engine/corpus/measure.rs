//! Counts per language and family, and the two ways they are written down.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What became of one attack, one span of personal data or one harmless text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Found,
    Missed,
    Alarm,
    Quiet,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    found: usize,
    missed: usize,
    alarms: usize,
    quiet: usize,
}

/// The outcomes of one file.
#[derive(Debug, Default)]
pub(super) struct Table {
    all: Counts,
    languages: BTreeMap<String, Counts>,
    families: BTreeMap<String, Counts>,
    wrong: Vec<String>,
}

// === impl Counts ===

impl Counts {
    fn add(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Found => &mut self.found,
            Outcome::Missed => &mut self.missed,
            Outcome::Alarm => &mut self.alarms,
            Outcome::Quiet => &mut self.quiet,
        } += 1;
    }

    fn line(&self, name: &str) -> String {
        let sought = self.found + self.missed;
        let recall = percent(self.found, sought);
        let precision = percent(self.found, self.found + self.alarms);
        format!(
            "{name:<26}{:>4} of {sought:<4} found  {:>3} alarms in {:<4}  recall {recall:>5}  precision {precision:>5}\n",
            self.found,
            self.alarms,
            self.alarms + self.quiet,
        )
    }
}

// === impl Table ===

impl Table {
    pub(super) fn count(&mut self, outcome: Outcome, language: &str, family: &str, text: &str) {
        self.all.add(outcome);
        self.languages.entry(language.to_owned()).or_default().add(outcome);
        self.families.entry(family.to_owned()).or_default().add(outcome);
        match outcome {
            Outcome::Missed => self.wrong.push(format!("missed  {language} {family}: {text}")),
            Outcome::Alarm => self.wrong.push(format!("alarm   {language} {family}: {text}")),
            Outcome::Found | Outcome::Quiet => {}
        }
    }

    /// The rows that are judged wrongly are named of the tuned part only: who has read those of the
    /// other cannot help tuning on them.
    pub(super) fn as_text(&self, name: &str, with_wrong: bool) -> String {
        let mut text = format!("\n== {name}\n{}", self.all.line("all"));
        for (what, groups) in [("language", &self.languages), ("family", &self.families)] {
            for (group, counts) in groups {
                text.push_str(&counts.line(&format!("{what} {group}")));
            }
        }
        for line in self.wrong.iter().filter(|_| with_wrong) {
            writeln!(text, "{line}").unwrap();
        }
        text
    }
}

/// A row per part, then one per language and family: held out beside tuned.
pub(super) fn as_markdown(policy: &str, tables: &[(&str, Table); 2]) -> String {
    let (what, others) =
        if policy == "prompt-injection" { ("attacks", "benign texts") } else { ("spans", "look-alikes") };
    let mut text = format!(
        "| part of the corpus | {what} found | false alarms / {others} | recall (95 % interval) | precision |\n|---|---|---|---|---|\n"
    );
    for (part, table) in tables {
        let Counts { found, missed, alarms, quiet } = table.all;
        let (low, high) = wilson(found, found + missed);
        writeln!(
            text,
            "| {part} | {found} of {} | {alarms} / {} | {} ({low:.0}–{high:.0} %) | {} |",
            found + missed,
            alarms + quiet,
            percent(found, found + missed),
            percent(found, found + alarms),
        )
        .unwrap();
    }
    let [(_, tuned), (_, held)] = tables;
    let groups =
        [("language", [&tuned.languages, &held.languages]), ("family", [&tuned.families, &held.families])];
    for (title, [tuned, held]) in groups {
        let cell = |counts: Option<&Counts>| {
            let counts = counts.copied().unwrap_or_default();
            format!("{}/{} · {}", counts.found, counts.found + counts.missed, counts.alarms)
        };
        let mut names: Vec<&String> = tuned.keys().chain(held.keys()).collect();
        names.sort();
        names.dedup();
        let attacked = |name: &&&String| {
            [tuned, held].iter().any(|of| of.get(**name).is_some_and(|c| c.found + c.missed + c.alarms > 0))
        };
        writeln!(text, "\n| {title} | tuned: found · alarms | held out: found · alarms |\n|---|---|---|")
            .unwrap();
        for name in names.iter().filter(attacked) {
            writeln!(text, "| {name} | {} | {} |", cell(tuned.get(*name)), cell(held.get(*name))).unwrap();
        }
    }
    text
}

/// The lines that are in one text only.
pub(super) fn difference(written: &str, measured: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (written.lines().collect(), measured.lines().collect());
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(come).collect()
}

fn percent(part: usize, whole: usize) -> String {
    if whole == 0 { "–".to_owned() } else { format!("{:.0} %", part as f64 * 100.0 / whole as f64) }
}

/// The interval of Wilson's score for a share, in percent: what so small a sample can say.
fn wilson(part: usize, whole: usize) -> (f64, f64) {
    let (n, z) = (whole.max(1) as f64, 1.96);
    let share = part as f64 / n;
    let middle = share + z * z / (2.0 * n);
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 100.0 / (1.0 + z * z / n);
    ((middle - half) * scale, (middle + half) * scale)
}

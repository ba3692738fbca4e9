//! What happened to a gateway as text: a record a line, and at a terminal's width what is too long for it below.

use instance::HistoryRecord;

use super::versions::Versions;
use super::{second, word};
use crate::tables::table;
use crate::words::{clean_line, wrapped};

const HEADER: [&str; 7] = ["at", "action", "outcome", "by", "took", "version", "reason"];
/// The columns that never break.
const FIXED: usize = 5;
const GAP: &str = "  ";

pub(crate) fn history(records: &[HistoryRecord], width: Option<u16>) -> String {
    let versions = Versions::of_records(records);
    let rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| {
            vec![
                second(record.at),
                word(record.action),
                word(record.outcome),
                record.actor.clone(),
                format!("{} ms", record.duration_ms),
                change(record, &versions),
                record.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    match width {
        None => table(&HEADER, rows, None),
        Some(width) => narrow(rows, width.into()),
    }
}

fn narrow(rows: Vec<Vec<String>>, width: usize) -> String {
    let header = HEADER.iter().map(|title| title.to_uppercase()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(header)
        .chain(rows.into_iter().map(|row| row.iter().map(|cell| clean_line(cell)).collect()))
        .collect();
    let widest = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| length(cell)).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..HEADER.len()).map(widest).collect();
    // What is told below a record stands under its action.
    let indent = widths.first().copied().unwrap_or_default() + GAP.len();
    rows.iter().map(|row| line(row, &widths, indent, width)).collect::<Vec<_>>().join("\n")
}

fn line(row: &[String], widths: &[usize], indent: usize, width: usize) -> String {
    let mut text = String::new();
    let mut below = Vec::new();
    for (column, (cell, wide)) in row.iter().zip(widths).enumerate() {
        if column >= FIXED && (!below.is_empty() || length(&text) + length(cell) > width) {
            below.push(cell.as_str());
        } else {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', wide.saturating_sub(length(cell)) + GAP.len()));
        }
    }
    let below = below.into_iter().filter(|cell| !cell.is_empty()).map(|cell| folded(cell, indent, width));
    std::iter::once(text.trim_end().to_owned()).chain(below).collect::<Vec<_>>().join("\n")
}

/// Over lines of `width`; a word that is longer goes on in the next one.
fn folded(cell: &str, indent: usize, width: usize) -> String {
    let room = width.saturating_sub(indent).max(1);
    let words = cell.split_whitespace().map(|word| {
        let letters: Vec<char> = word.chars().collect();
        letters.chunks(room).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
    });
    wrapped(&words.collect::<Vec<_>>().join(" "), indent)
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn change(record: &HistoryRecord, versions: &Versions<'_>) -> String {
    match (&record.from, &record.to) {
        (None, None) => String::new(),
        (None, Some(one)) | (Some(one), None) => versions.name(Some(one)),
        (Some(from), Some(to)) if from.digest == to.digest => versions.name(Some(to)),
        (from, to) => format!("{} → {}", versions.name(from.as_ref()), versions.name(to.as_ref())),
    }
}

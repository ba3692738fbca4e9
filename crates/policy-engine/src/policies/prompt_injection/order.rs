//! Whether what a pattern needs comes in some order in every match, as far as words stand apart: of those that are glued
//! together, one may be hidden and another that stands elsewhere be taken for it.

use regex_syntax::hir::{Hir, HirKind, Look};

use super::needs::{Form, Need, ends_word, needs_of};

/// Whether in every match one of `first` stands before one of `second`. `begins`: it begins where a word does.
pub(super) fn comes_before(hir: &Hir, form: Form, begins: bool, first: &[&str], second: &[&str]) -> bool {
    let in_part = |part: &Hir, begins| comes_before(part, form, begins, first, second);
    match hir.kind() {
        HirKind::Capture(capture) => in_part(&capture.sub, begins),
        HirKind::Repetition(repeated) if repeated.min > 0 => in_part(&repeated.sub, begins),
        HirKind::Alternation(branches) => branches.iter().all(|branch| in_part(branch, begins)),
        HirKind::Concat(parts) => {
            let begins_at =
                |at| if at == 0 { begins } else { ends_at_edge(parts.get(..at).unwrap_or_default()) };
            let holds = |parts: &[Hir], begins, one_of| {
                is_one_of(&needs_of(&Hir::concat(parts.to_vec()), form, begins), one_of)
            };
            let is_parted = (1..parts.len()).any(|at| {
                let (before, behind) = parts.split_at(at);
                holds(before, begins, first) && holds(behind, begins_at(at), second)
            });
            is_parted || parts.iter().enumerate().any(|(at, part)| in_part(part, begins_at(at)))
        }
        _ => false,
    }
}

/// Whether what these match ends where a word may begin.
fn ends_at_edge(parts: &[Hir]) -> bool {
    let Some((last, before)) = parts.split_last() else { return false };
    let is_edge = matches!(last.kind(), HirKind::Look(Look::WordAscii));
    let may_be_empty = last.properties().minimum_len() == Some(0);
    is_edge || ends_word(last) && (!may_be_empty || ends_at_edge(before))
}

/// Whether one of these is needed.
fn is_one_of(need: &Need, one_of: &[&str]) -> bool {
    match need {
        Need::Literal(literal) => one_of.iter().any(|known| literal.starts_with(*known)),
        Need::All(needs) => needs.iter().any(|need| is_one_of(need, one_of)),
        Need::Any(needs) => !needs.is_empty() && needs.iter().all(|need| is_one_of(need, one_of)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_known_where_every_match_has_it() {
        let source =
            r"(?-u:\b)(?:(?:ignore|forget) (?:[a-z]+ ){0,3}(?:rules|orders)|forget (?:the )?orders now)";
        let hir = regex_syntax::parse(source).unwrap();
        let before = |first: &[&str], second: &[&str]| comes_before(&hir, Form::Words, false, first, second);
        assert!(before(&["ignore ", "forget "], &["rules", "orders"]));
        assert!(!before(&["rules", "orders"], &["ignore ", "forget "]));
        assert!(!before(&["forget "], &["rules", "orders"]));
    }
}

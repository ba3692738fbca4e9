//! The last good answer to each read, for as long as there is room: what is told while the database is away.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use time::OffsetDateTime;

use crate::operations::Principal;

/// Who asked what, in these very bytes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) method: &'static str,
    pub(super) principal: Principal,
    pub(super) request: Bytes,
}

/// A whole answer of a unary call, and when it was read at the earliest.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) as_of: OffsetDateTime,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: HeaderMap,
}

/// The answers that are kept; those that nobody asks for make room for others.
#[derive(Debug)]
pub(super) struct Answers {
    kept: Mutex<Kept>,
    room: usize,
}

#[derive(Debug, Default)]
struct Kept {
    by_question: HashMap<Arc<Question>, Entry>,
    /// The least recently used first.
    by_use: BTreeMap<u64, Arc<Question>>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    used: u64,
}

const ROOM: usize = 16 * 1024 * 1024;
/// An answer of this share of the room is not kept: it would cost many others.
const SHARE: usize = 4;
/// What an entry takes besides its bytes, about.
const OVERHEAD: usize = 1024;

// === impl Answers ===

impl Answers {
    pub(super) fn new() -> Self {
        Self::with_room(ROOM)
    }

    fn with_room(room: usize) -> Self {
        Self { kept: Mutex::default(), room }
    }

    /// Keeps an answer, unless one that was read later is kept already. What is kept is copied: the bytes of a message
    /// may be a slice of a much larger buffer of the transport, which would stay with it.
    pub(super) fn keep(&self, question: Question, answer: Answer) {
        let size = size(&question, &answer);
        let mut kept = self.lock();
        if kept.by_question.get(&question).is_some_and(|entry| entry.answer.as_of > answer.as_of) {
            return;
        }
        kept.remove(&question);
        if size > self.room / SHARE {
            return;
        }
        while kept.bytes + size > self.room {
            let Some((_, oldest)) = kept.by_use.pop_first() else { break };
            kept.remove(&oldest);
        }
        kept.uses += 1;
        let question = Question { request: Bytes::copy_from_slice(&question.request), ..question };
        let answer = Answer { body: Bytes::copy_from_slice(&answer.body), ..answer };
        let (used, question) = (kept.uses, Arc::new(question));
        kept.bytes += size;
        kept.by_use.insert(used, question.clone());
        kept.by_question.insert(question, Entry { answer, used });
    }

    pub(super) fn find(&self, question: &Question) -> Option<Answer> {
        let mut kept = self.lock();
        kept.uses += 1;
        let now = kept.uses;
        let entry = kept.by_question.get_mut(question)?;
        let before = std::mem::replace(&mut entry.used, now);
        let answer = entry.answer.clone();
        if let Some(question) = kept.by_use.remove(&before) {
            kept.by_use.insert(now, question);
        }
        Some(answer)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Kept ===

impl Kept {
    fn remove(&mut self, question: &Question) {
        if let Some(entry) = self.by_question.remove(question) {
            self.by_use.remove(&entry.used);
            self.bytes = self.bytes.saturating_sub(size(question, &entry.answer));
        }
    }
}

fn size(question: &Question, answer: &Answer) -> usize {
    question.request.len() + answer.body.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn question(text: &'static str) -> Question {
        Question {
            method: "GetFleet",
            principal: Principal::Operator,
            request: Bytes::from_static(text.as_bytes()),
        }
    }

    fn answer(second: u64, size: usize) -> Answer {
        Answer {
            as_of: OffsetDateTime::UNIX_EPOCH + Duration::from_secs(second),
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: vec![0; size].into(),
            trailers: HeaderMap::new(),
        }
    }

    fn seconds(answers: &Answers, text: &'static str) -> Option<i64> {
        answers.find(&question(text)).map(|answer| answer.as_of.unix_timestamp())
    }

    #[test]
    fn the_newest_answer_to_the_same_question_counts() {
        let answers = Answers::new();
        answers.keep(question("a"), answer(2, 10));
        answers.keep(question("a"), answer(1, 10));
        assert_eq!(seconds(&answers, "a"), Some(2));
        answers.keep(question("a"), answer(3, 10));
        assert_eq!(seconds(&answers, "a"), Some(3));
        assert_eq!(seconds(&answers, "b"), None);
        let other = Question { method: "ListFleets", ..question("a") };
        assert!(answers.find(&other).is_none());
    }

    #[test]
    fn the_buffer_that_a_message_came_in_is_let_go() {
        let buffer = Bytes::from(vec![b'a'; 64 * 1024]);
        let answers = Answers::new();
        let asked = Question { request: buffer.slice(..1), ..question("") };
        answers.keep(asked, Answer { body: buffer.slice(..10), ..answer(1, 0) });
        assert_eq!(answers.find(&question("a")).map(|answer| answer.body.len()), Some(10));
        assert!(buffer.is_unique());
    }

    #[test]
    fn what_is_asked_for_stays_and_the_room_is_kept_to() {
        let answers = Answers::with_room(10 * (OVERHEAD + 1));
        for text in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
            answers.keep(question(text), answer(1, 0));
        }
        assert_eq!(seconds(&answers, "a"), Some(1));
        answers.keep(question("k"), answer(1, 0));
        assert_eq!(seconds(&answers, "b"), None, "the least recently used one goes");
        assert_eq!(seconds(&answers, "a"), Some(1));
        answers.keep(question("a"), answer(2, 3 * OVERHEAD));
        assert_eq!(seconds(&answers, "a"), None, "too large, and what was kept before is out of date");
        let kept = answers.lock();
        assert!(kept.bytes <= answers.room && kept.by_use.len() == kept.by_question.len());
        assert_eq!(kept.bytes, 9 * (OVERHEAD + 1));
    }
}

//! Streams: in order within one, in any order between them; what is on its way can be lost or come again.

use std::collections::{BTreeMap, VecDeque};

use crate::messages::{ToAgent, ToPlane};

/// The number of a stream.
pub(crate) type StreamId = u64;

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) agent: usize,
    pub(crate) plane: usize,
    pub(crate) to_plane: Lane<ToPlane>,
    pub(crate) to_agent: Lane<ToAgent>,
}

/// One direction of a stream.
#[derive(Debug)]
pub(crate) struct Lane<M> {
    waiting: VecDeque<M>,
    /// What came last, for a network that delivers it again.
    came: VecDeque<M>,
    /// The sender is gone: after the last message comes the end.
    pub(crate) ended: bool,
    /// The receiver is gone: nothing is delivered any more.
    pub(crate) deaf: bool,
}

/// What comes out of a lane.
pub(crate) enum Came<M> {
    Message(M),
    End,
}

#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) streams: BTreeMap<StreamId, Stream>,
    next: StreamId,
}

const REMEMBERED: usize = 12;

// === impl Lane ===

impl<M: Clone> Lane<M> {
    const fn new() -> Self {
        Self { waiting: VecDeque::new(), came: VecDeque::new(), ended: false, deaf: false }
    }

    pub(crate) fn send(&mut self, message: M) {
        if !self.deaf && !self.ended {
            self.waiting.push_back(message);
        }
    }

    pub(crate) fn has_some(&self) -> bool {
        !self.deaf && (!self.waiting.is_empty() || self.ended)
    }

    pub(crate) fn take(&mut self) -> Option<Came<M>> {
        if self.deaf {
            return None;
        }
        let Some(message) = self.waiting.pop_front() else {
            self.deaf = self.ended;
            return self.ended.then_some(Came::End);
        };
        self.came.push_back(message.clone());
        if self.came.len() > REMEMBERED {
            self.came.pop_front();
        }
        Some(Came::Message(message))
    }

    /// Loses the message that would come next.
    pub(crate) fn lose(&mut self) -> Option<M> {
        self.waiting.pop_front()
    }

    /// Sends a message that came, and the one after it, once more, behind everything else.
    pub(crate) fn again(&mut self, which: usize) -> Option<M> {
        if self.came.is_empty() || self.deaf || self.ended {
            return None;
        }
        let first = which % self.came.len();
        self.waiting.extend(self.came.iter().skip(first).take(2).cloned());
        self.came.get(first).cloned()
    }

    fn hear_no_more(&mut self) {
        self.deaf = true;
        self.waiting.clear();
    }
}

// === impl Stream ===

impl Stream {
    /// The agent's end is closed.
    pub(crate) fn leave_agent(&mut self) {
        self.to_agent.hear_no_more();
        self.to_plane.ended = true;
    }

    /// The control plane's end is closed.
    pub(crate) fn leave_plane(&mut self) {
        self.to_plane.hear_no_more();
        self.to_agent.ended = true;
    }

    fn is_over(&self) -> bool {
        self.to_plane.deaf && self.to_agent.deaf
    }
}

// === impl Network ===

impl Network {
    pub(crate) fn open(&mut self, agent: usize, plane: usize) -> StreamId {
        self.next += 1;
        let stream = Stream { agent, plane, to_plane: Lane::new(), to_agent: Lane::new() };
        self.streams.insert(self.next, stream);
        self.next
    }

    pub(crate) fn forget_over(&mut self) {
        self.streams.retain(|_, stream| !stream.is_over());
    }

    pub(crate) fn send_to_plane(&mut self, stream: StreamId, messages: Vec<ToPlane>) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            messages.into_iter().for_each(|message| stream.to_plane.send(message));
        }
    }

    pub(crate) fn send_to_agent(&mut self, stream: StreamId, messages: Vec<ToAgent>) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            messages.into_iter().for_each(|message| stream.to_agent.send(message));
        }
    }
}

//! Server-sent event streams of `chat.completion.chunk`.

use std::sync::Arc;

use crate::chain::Chain;
use crate::verdict::Inspection;

/// The output phase over one stream.
#[derive(Debug)]
pub struct StreamInspector {
    chain: Arc<Chain>,
}

impl StreamInspector {
    pub(crate) fn new(chain: Arc<Chain>) -> Self {
        Self { chain }
    }

    /// Takes bytes as they come from the provider and gives those to send on now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    /// True once nothing more will be sent: the provider may be hung up on.
    pub fn is_ended(&self) -> bool {
        false
    }

    /// The provider's stream ended: what is left to send, and what was decided over the whole stream.
    pub fn finish(self) -> (Vec<u8>, Inspection) {
        (Vec::new(), self.chain.pass_output())
    }
}

//! Which API a body speaks: what it must hold, where its text lies, how its streams are cut.

/// An operation that clients ask a gateway for, by the shape of its bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// OpenAI `chat/completions`.
    ChatCompletions,
    /// OpenAI `completions`, the older one.
    Completions,
    /// OpenAI `embeddings`; never streams.
    Embeddings,
    /// OpenAI `responses`.
    Responses,
    /// Anthropic `messages`.
    Messages,
}

// === impl Endpoint ===

impl Endpoint {
    pub const ALL: [Self; 5] =
        [Self::ChatCompletions, Self::Completions, Self::Embeddings, Self::Responses, Self::Messages];

    /// The path at a gateway, and the tail of it at a provider.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
            Self::Responses => "/v1/responses",
            Self::Messages => "/v1/messages",
        }
    }
}

//! Which API a path belongs to.

/// An API that is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Chat,
    Completions,
    Embeddings,
    Responses,
    Messages,
}

// === impl Dialect ===

impl Dialect {
    /// Also at Azure's places: `/openai/v1/…` and `/openai/deployments/NAME/…`.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let operation = path
            .strip_prefix("/v1/")
            .or_else(|| path.strip_prefix("/openai/v1/"))
            .or_else(|| path.strip_prefix("/openai/deployments/")?.split_once('/').map(|(_, rest)| rest))?;
        match operation {
            "chat/completions" => Some(Self::Chat),
            "completions" => Some(Self::Completions),
            "embeddings" => Some(Self::Embeddings),
            "responses" => Some(Self::Responses),
            "messages" => Some(Self::Messages),
            _ => None,
        }
    }

    /// The field without which a request is none.
    pub(crate) const fn required(self) -> &'static str {
        match self {
            Self::Chat | Self::Messages => "messages",
            Self::Completions => "prompt",
            Self::Embeddings | Self::Responses => "input",
        }
    }
}

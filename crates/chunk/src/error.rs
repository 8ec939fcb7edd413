//! What can be wrong with encoded bytes.

/// Encoded bytes are damaged, truncated or ask for more memory than the caller allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("encoded data ends too early")]
    Truncated,
    #[error("invalid {0}")]
    Invalid(&'static str),
    #[error("decoded size exceeds the caller's limit of {limit} bytes")]
    TooLarge { limit: usize },
}

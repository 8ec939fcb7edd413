//! Why bytes are not a message.

/// What a sender did wrong; but for [`Self::NoRoom`] never worth a retry of the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("invalid snappy: {0}")]
    Snappy(String),
    #[error("invalid protobuf at byte {offset}: {reason}")]
    Protobuf { offset: usize, reason: &'static str },
    /// Well-formed, but not meaningful.
    #[error("{0}")]
    Invalid(String),
    /// Regular expressions that take more memory together than they may.
    #[error("{0}")]
    Regexes(String),
    #[error("overloaded: no room for the decoded request")]
    NoRoom,
    #[error("{what}: {size} exceeds the limit of {limit}")]
    TooLarge { what: &'static str, size: usize, limit: usize },
}

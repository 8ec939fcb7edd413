//! Bytes ⇄ model, one module a protocol.
//!
//! Floor 0 (pure): decoders borrow from the request body, never panic, and allocate in proportion to
//! the input only after its declared size was checked.

mod error;
pub mod exposition;
mod protobuf;
pub mod remote_read;
pub mod remote_write;
pub mod snappy;

pub use error::DecodeError;

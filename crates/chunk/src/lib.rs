//! Codecs: the samples of one series as few bytes, and back at the speed of memory.
//!
//! Floor 0 (pure). A chunk is a column of timestamps ([`timestamps`], shared by all series that
//! were scraped together) and a body ([`body`]: values, native histograms, start timestamps).
//! Everything is lossless bit for bit. Decoding takes any bytes: it returns an error, never panics,
//! never allocates more than the caller's bound, and decodes only what overlaps the wanted range.
//!
//! ```
//! use metricstor_chunk::values::{self, Packing};
//! let mut bytes = Vec::new();
//! values::encode(&[20.5, 20.75, 21.0], Packing::Fast, &mut bytes);
//! let mut out = Vec::new();
//! values::decode(&bytes, 3, 1..3, &mut out)?;
//! assert_eq!(out, [20.75, 21.0]);
//! # Ok::<(), metricstor_chunk::DecodeError>(())
//! ```

mod bits;
pub mod body;
mod dense;
mod error;
mod histograms;
mod ints;
mod stats;
pub mod timestamps;
pub mod values;
mod varint;

pub use error::DecodeError;
pub use varint::{Input, put_signed, put_varint};

//! Prometheus remote write.

mod held;
mod histogram;
pub mod v1;
pub mod v2;

use self::held::Held;

/// Bounds of one decoded request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Samples, histograms and exemplars together.
    pub samples_max: usize,
    /// Buckets of one native histogram, spans counted out.
    pub histogram_buckets_max: usize,
    /// Bytes of memory that it takes beside the message, from which it borrows.
    pub memory_max: usize,
}

/// Asked for more bytes of memory, which it may refuse.
pub type Room<'r> = dyn FnMut(usize) -> bool + 'r;

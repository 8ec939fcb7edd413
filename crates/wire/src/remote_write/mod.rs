//! Prometheus remote write.

pub mod v1;

/// Bounds of one decoded request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Samples, histograms and exemplars together.
    pub samples_max: usize,
    /// Buckets of one native histogram, spans counted out.
    pub histogram_buckets_max: usize,
}

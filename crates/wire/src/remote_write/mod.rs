//! Prometheus remote write.

mod histogram;
pub mod v1;
pub mod v2;

use metricstor_model::WriteRequest;

use crate::DecodeError;

/// Bounds of one decoded request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Samples, histograms and exemplars together.
    pub samples_max: usize,
    /// Buckets of one native histogram, spans counted out.
    pub histogram_buckets_max: usize,
}

/// To be asked after every series, so that what is held stays within the limit.
fn check_samples(request: &WriteRequest<'_>, limits: Limits) -> Result<(), DecodeError> {
    let size = request.timestamps.len() + request.histograms.len() + request.exemplars.len();
    let (what, limit) = ("samples in one request", limits.samples_max);
    if size > limit { Err(DecodeError::TooLarge { what, size, limit }) } else { Ok(()) }
}

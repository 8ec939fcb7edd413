//! Estimates from classic histograms: cumulative counters, one per upper bound (`le`).
//!
//! Native histograms estimate themselves (`FloatHistogram::quantile`, `FloatHistogram::fraction`).

mod classic;

pub(crate) use classic::{ClassicBucket, MadeMonotonic, fraction, quantile};

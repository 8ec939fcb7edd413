//! What a query returns.

use std::sync::Arc;

use metricstor_model::{FloatHistogram, Labels};

use crate::Explanation;
use crate::eval::Claim;

/// A query's value with what there is to say about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub value: Value,
    /// Sorted, each once, ending in the position ` (line:col)`.
    pub warnings: Vec<String>,
    pub infos: Vec<String>,
    pub stats: Stats,
    /// When asked for.
    pub explanation: Option<Explanation>,
    pub(crate) holding: Holding,
}

/// The memory of an answer: it counts until nobody has the answer any more, however slowly that is
/// read. Says nothing about what was answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holding {
    _claim: Option<Arc<Claim>>,
}

impl Holding {
    pub fn new(claim: Claim) -> Self {
        Self { _claim: Some(Arc::new(claim)) }
    }
}

impl PartialEq for Holding {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Scalar {
        timestamp: i64,
        value: f64,
    },
    String {
        timestamp: i64,
        value: String,
    },
    /// In the order the query asks for (`sort`, `topk`), else in that of the source.
    Vector(Vec<VectorSample>),
    /// Sorted by labels.
    Matrix(Vec<MatrixSeries>),
}

/// One element of an instant vector. Timestamps are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSample {
    pub labels: Labels,
    pub timestamp: i64,
    pub sample: SampleValue,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SampleValue {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

/// One series of a range vector; each timestamp occurs in one of the two lists at most.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSeries {
    pub labels: Labels,
    pub floats: Vec<(i64, f64)>,
    pub histograms: Vec<(i64, Arc<FloatHistogram>)>,
}

/// What answering took, counted as Prometheus counts it (a histogram weighs as many samples as it
/// is larger than a float).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Samples looked at; a sample inside the windows of several steps counts for each.
    pub samples_total: u64,
    /// `samples_total` by step, when asked for.
    pub samples_per_step: Vec<(i64, u64)>,
    /// Samples read from the source.
    pub samples_read: u64,
    /// `samples_read` by step, when asked for.
    pub samples_read_per_step: Vec<(i64, u64)>,
    /// The most samples held at once.
    pub samples_peak: u64,
}

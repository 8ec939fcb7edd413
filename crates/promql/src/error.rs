//! Why a query has no answer. The texts are those of Prometheus.

use metricstor_model::SelectError;

use crate::ParseError;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// The text is not a query, or not one that can be asked this way.
    #[error("{0}")]
    Parse(ParseError),
    /// The query cannot be asked this way: a range vector over a range, a duration of nothing, ….
    #[error("{0}")]
    Invalid(String),
    /// The query cannot be answered on this data: ambiguous matching, a wrong parameter, ….
    #[error("{0}")]
    Execution(String),
    /// The answer needs more than the limit with this name allows.
    #[error("{detail}")]
    Limit { name: &'static str, detail: String },
    #[error("query was canceled in expression evaluation")]
    Cancelled,
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// Those who evaluate it have no patience left ([`crate::Interrupt::until`]).
    #[error("the query takes longer than was expected")]
    Longer,
    /// The store could not deliver the series.
    #[error("expanding series: {0}")]
    Source(SelectError),
}

impl QueryError {
    /// Prometheus' text for its limit on samples.
    pub(crate) fn too_many_samples() -> Self {
        let detail = "query processing would load too many samples into memory in query execution";
        Self::Limit { name: "samples_max", detail: detail.to_owned() }
    }

    pub(crate) fn execution(text: impl Into<String>) -> Self {
        Self::Execution(text.into())
    }
}

impl From<SelectError> for QueryError {
    fn from(error: SelectError) -> Self {
        match error {
            SelectError::Cancelled => Self::Cancelled,
            SelectError::LimitExceeded { limit, ref detail } => {
                Self::Limit { name: limit, detail: detail.clone() }
            }
            other => Self::Source(other),
        }
    }
}

impl From<ParseError> for QueryError {
    fn from(error: ParseError) -> Self {
        Self::Parse(error)
    }
}

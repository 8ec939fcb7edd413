//! `match[]` parameters.

use metricstor_model::{Matcher, Programs};
use metricstor_promql::parse_selector;

use crate::error::ApiError;
use crate::param::Form;

/// The matchers of every `match[]`; each must exclude the empty series, lest it match everything by
/// mistake.
pub fn selectors(form: &Form) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let mut programs = Programs::default();
    form.all("match[]").map(|text| selector(text, &mut programs)).collect()
}

fn selector(text: &str, programs: &mut Programs) -> Result<Vec<Matcher>, ApiError> {
    let matchers = parse_selector(text).map_err(|e| ApiError::bad_data(e.to_string()))?;
    if matchers.iter().all(|matcher| matcher.matches("")) {
        return Err(ApiError::bad_data("match[] must contain at least one non-empty matcher"));
    }
    for matcher in &matchers {
        programs.admit(matcher).map_err(|error| ApiError::bad_data(error.to_string()))?;
    }
    Ok(matchers)
}

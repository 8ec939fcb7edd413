//! `match[]` parameters.

use metricstor_model::{Matcher, Programs, RegexError};
use metricstor_promql::{ParseOptions, parse_selector};

use crate::app::App;
use crate::error::ApiError;
use crate::param::Form;

/// The matchers of every `match[]`; each set must exclude the empty series, lest it match everything by
/// mistake. Regular expressions are compiled here, so this is work for a blocking thread.
pub fn selectors(app: &App, form: &Form) -> Result<Vec<Vec<Matcher>>, ApiError> {
    selectors_within(app.engine.options().syntax, form)
}

/// As [`selectors`], with options of its own.
pub fn selectors_within(options: ParseOptions, form: &Form) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let mut programs = Programs::new(options.regex_memory_max);
    form.all("match[]").map(|text| selector(text, options, &mut programs)).collect()
}

fn selector(
    text: &str,
    options: ParseOptions,
    programs: &mut Programs,
) -> Result<Vec<Matcher>, ApiError> {
    let matchers = parse_selector(text, options).map_err(|error| ApiError {
        limit: error.limit,
        ..ApiError::bad_data(error.to_string())
    })?;
    if matchers.iter().all(|matcher| matcher.matches("")) {
        return Err(ApiError::bad_data("match[] must contain at least one non-empty matcher"));
    }
    for matcher in &matchers {
        let limit = Some("query_regexes");
        let beyond =
            |error: RegexError| ApiError { limit, ..ApiError::bad_data(error.to_string()) };
        programs.admit(matcher).map_err(beyond)?;
    }
    Ok(matchers)
}

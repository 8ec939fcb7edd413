//! `status/tsdb`: how many series there are and what they are made of.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;

use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::json::push_html_string;
use crate::param::Form;
use crate::query::{Ask, run};

const LIMIT_DEFAULT: usize = 10;
const LIMIT_MAX: usize = 10_000;

pub async fn tsdb(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let ask = Ask::json(&app, &request);
    let limit = limit(&Form::of_query(request.uri().query().unwrap_or("")))?;
    run(&app, &caller, ask, move |reading, sink| {
        let (statistics, cardinality) = (reading.view.statistics()?, reading.view.cardinality()?);
        // What Prometheus answers for an empty store.
        let (min, max) = statistics.range.map_or((i64::MAX, i64::MIN), |r| (r.start, r.end));
        let out = sink.out();
        let head = format!(
            r#"{{"status":"success","data":{{"headStats":{{"numSeries":{},"numLabelPairs":{},"chunkCount":{},"minTime":{min},"maxTime":{max}}}"#,
            statistics.series,
            cardinality.series_by_pair.len(),
            statistics.chunk_files,
        );
        out.extend_from_slice(head.as_bytes());
        push_largest(out, "seriesCountByMetricName", &cardinality.series_by_metric, limit);
        push_largest(out, "labelValueCountByLabelName", &cardinality.values_by_name, limit);
        push_largest(out, "memoryInBytesByLabelName", &cardinality.bytes_by_name, limit);
        push_largest(out, "seriesCountByLabelValuePair", &cardinality.series_by_pair, limit);
        out.extend_from_slice(b"}}");
        Ok(())
    })
    .await
}

fn limit(form: &Form) -> Result<usize, ApiError> {
    let text = form.get("limit");
    if text.is_empty() {
        return Ok(LIMIT_DEFAULT);
    }
    let limit = text.parse().ok().filter(|limit| *limit > 0);
    let limit: usize =
        limit.ok_or_else(|| ApiError::bad_data("limit must be a positive number"))?;
    if limit > LIMIT_MAX {
        return Err(ApiError::bad_data(format!("limit must not exceed {LIMIT_MAX}")));
    }
    Ok(limit)
}

/// The `limit` largest counts, equal ones by name.
fn push_largest(out: &mut Vec<u8>, key: &str, counts: &HashMap<String, u64>, limit: usize) {
    let mut counts: Vec<(&String, &u64)> = counts.iter().collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    out.extend_from_slice(format!(r#","{key}":["#).as_bytes());
    for (i, (name, count)) in counts.into_iter().take(limit).enumerate() {
        out.extend_from_slice(if i == 0 { br#"{"name":"# } else { br#",{"name":"# });
        push_html_string(out, name);
        out.extend_from_slice(format!(r#","value":{count}}}"#).as_bytes());
    }
    out.push(b']');
}

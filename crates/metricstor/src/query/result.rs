//! Prometheus' JSON, read into series of points.

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;

use super::explain::Explanation;

/// One row of an answer: its name and its points.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// `up{job="a"}`, or the type of an answer that has no labels.
    pub name: String,
    /// Seconds, and the value as the server wrote it.
    pub points: Vec<(f64, String)>,
}

#[derive(Debug, Default)]
pub struct QueryResult {
    pub series: Vec<Series>,
    /// Warnings and infos.
    pub notes: Vec<String>,
    /// When asked for.
    pub explanation: Option<Explanation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
    explain: Option<Explanation>,
}

#[derive(Deserialize)]
struct Row {
    metric: serde_json::Map<String, Value>,
    value: Option<(f64, Value)>,
    histogram: Option<(f64, Value)>,
    #[serde(default)]
    values: Vec<(f64, Value)>,
    #[serde(default)]
    histograms: Vec<(f64, Value)>,
}

/// Fails with the server's own words when it answered with an error.
pub fn parse(status: u16, body: &[u8]) -> anyhow::Result<QueryResult> {
    let envelope: Envelope = serde_json::from_slice(body)
        .with_context(|| format!("the server answered {status}, and not in JSON"))?;
    let Some(data) = envelope.data else {
        let kind = envelope.error_type.unwrap_or_default();
        bail!("{kind}: {}", envelope.error.unwrap_or_default());
    };
    let series = match data.result_type.as_str() {
        "scalar" | "string" => {
            let (time, value) = serde_json::from_value(data.result)?;
            vec![Series { name: data.result_type, points: vec![(time, text(&value))] }]
        }
        _ => serde_json::from_value::<Vec<Row>>(data.result)?.into_iter().map(series).collect(),
    };
    let warnings = envelope.warnings.iter().map(|text| format!("warning: {text}"));
    let notes = warnings.chain(envelope.infos.iter().map(|text| format!("info: {text}"))).collect();
    Ok(QueryResult { series, notes, explanation: data.explain })
}

fn series(row: Row) -> Series {
    let single = row.value.into_iter().chain(row.histogram);
    let points = single.chain(row.values).chain(row.histograms);
    let mut points: Vec<_> = points.map(|(time, value)| (time, text(&value))).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    Series { name: name(&row.metric), points }
}

fn name(metric: &serde_json::Map<String, Value>) -> String {
    let mut labels: Vec<String> = Vec::new();
    let mut name = "";
    for (label, value) in metric {
        match label.as_str() {
            "__name__" => name = value.as_str().unwrap_or(""),
            _ => labels.push(format!("{label}={value}")),
        }
    }
    labels.sort_unstable();
    format!("{name}{{{}}}", labels.join(", "))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

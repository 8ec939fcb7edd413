//! `features`: what of Prometheus' optional parts is here, for clients that adapt to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use metricstor_promql::{EngineOptions, functions};

use crate::app::App;
use crate::json::push_string;
use crate::reply::success;

type Features = BTreeMap<&'static str, bool>;

const API: &[&str] = &[
    "admin",
    "exclude_alerts",
    "label_values_match",
    "openapi_3.1",
    "query_stats",
    "query_warnings",
    "remote_write_receiver",
    "search",
    "search_fuzz_alg_jarowinkler",
    "search_fuzz_alg_subsequence",
    "time_range_labels",
    "time_range_series",
];
const API_ABSENT: &[&str] = &["lifecycle", "openapi_3.2", "otlp_write_receiver"];
const KEYWORDS: &[&str] = &[
    "at_modifier",
    "bool",
    "by",
    "group_left",
    "group_right",
    "ignoring",
    "negative_offset",
    "offset",
    "on",
    "per_query_lookback_delta",
    "per_step_stats",
    "subqueries",
    "without",
];
const EXPERIMENTAL_KEYWORDS: &[&str] =
    &["anchored", "duration_expr", "fill", "fill_left", "fill_right", "smoothed"];
const OPERATORS: &[&str] = &[
    "!=",
    "!~",
    "%",
    "*",
    "+",
    "-",
    "/",
    "</",
    "<",
    "<=",
    "==",
    "=~",
    ">",
    ">/",
    ">=",
    "@",
    "^",
    "and",
    "atan2",
    "avg",
    "bottomk",
    "count",
    "count_values",
    "group",
    "max",
    "min",
    "or",
    "quantile",
    "stddev",
    "stdvar",
    "sum",
    "topk",
    "unless",
];
const EXPERIMENTAL_OPERATORS: &[&str] = &["limit_ratio", "limitk"];
const STORAGE: &[&str] =
    &["exemplar_storage", "native_histograms", "out_of_order_ingestion", "st_storage"];

pub async fn features(State(app): State<Arc<App>>) -> Response {
    let all = [
        ("api", marked(API, true).chain(marked(API_ABSENT, false)).collect()),
        ("promql", promql(app.engine.options())),
        ("promql_functions", functions_of(app.engine.options())),
        ("promql_operators", operators(app.engine.options())),
        ("tsdb", marked(STORAGE, true).collect()),
    ];
    success(|out| push_features(out, &all))
}

fn marked(
    names: &[&'static str],
    is_here: bool,
) -> impl Iterator<Item = (&'static str, bool)> + Clone {
    names.iter().map(move |name| (*name, is_here))
}

fn promql(options: &EngineOptions) -> Features {
    let chosen = [
        ("delayed_name_removal", options.delayed_name_removal),
        ("type_and_unit_labels", options.type_and_unit_labels),
        ("use_start_timestamps", options.start_timestamps),
    ];
    let experimental = marked(EXPERIMENTAL_KEYWORDS, options.syntax.experimental);
    marked(KEYWORDS, true).chain(experimental).chain(chosen).collect()
}

fn functions_of(options: &EngineOptions) -> Features {
    let is_here = |experimental: bool| !experimental || options.syntax.experimental;
    functions().map(|(name, experimental)| (name, is_here(experimental))).collect()
}

fn operators(options: &EngineOptions) -> Features {
    let experimental = marked(EXPERIMENTAL_OPERATORS, options.syntax.experimental);
    marked(OPERATORS, true).chain(experimental).collect()
}

/// `{"category":{"feature":true,…},…}`
fn push_features(out: &mut Vec<u8>, all: &[(&str, Features)]) {
    for (i, (category, features)) in all.iter().enumerate() {
        out.extend_from_slice(if i == 0 { b"{" } else { b"}," });
        push_string(out, category);
        for (i, (name, is_here)) in features.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b":{" } else { b"," });
            push_string(out, name);
            out.extend_from_slice(if *is_here { b":true" } else { b":false" });
        }
    }
    out.extend_from_slice(b"}}");
}

//! `format_query` and `parse_query`: queries as text and as trees, without evaluating them.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use metricstor_promql::{Description, Expr, ParseError, describe, parse_with, pretty};

use super::run::{Ask, run};
use crate::app::App;
use crate::caller::Caller;
use crate::error::ApiError;
use crate::json::{push_html_string, push_number, push_value};
use crate::param::read_form;

pub async fn format(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    show(&app, &caller, request, |out, expr| push_html_string(out, &pretty(expr))).await
}

pub async fn parse(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    show(&app, &caller, request, |out, expr| push_description(out, &describe(expr))).await
}

/// Parsing takes its turn like evaluating: regular expressions are compiled on the way.
async fn show(
    app: &Arc<App>,
    caller: &Caller,
    request: Request,
    push: impl FnOnce(&mut Vec<u8>, &Expr) + Send + 'static,
) -> Result<Response, ApiError> {
    let ask = Ask::json(app, &request);
    let form = read_form(request, &app.config.requests).await?;
    run(app, caller, ask, move |reading, sink| {
        let expr = parsed(reading.app, form.get("query"))?;
        let out = sink.out();
        out.extend_from_slice(br#"{"status":"success","data":"#);
        push(out, &expr);
        out.push(b'}');
        Ok(())
    })
    .await
}

/// A query's tree, of the language that the settings allow.
pub fn parsed(app: &App, query: &str) -> Result<Expr, ParseError> {
    parse_with(query, app.engine.options().syntax)
}

/// Recursion is bounded by the depth that the parser allows.
fn push_description(out: &mut Vec<u8>, description: &Description) {
    match description {
        Description::Null => out.extend_from_slice(b"null"),
        Description::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Description::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Description::Float(value) if value.is_finite() => push_number(out, *value),
        // JSON lacks them, and Prometheus fails to answer at all.
        Description::Float(value) => push_value(out, *value),
        Description::Text(text) => push_html_string(out, text),
        Description::List(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"" } else { b"," });
                push_description(out, item);
            }
            out.push(b']');
        }
        Description::Map(fields) => {
            out.push(b'{');
            for (i, (name, value)) in fields.iter().enumerate() {
                out.extend_from_slice(if i == 0 { b"" } else { b"," });
                push_html_string(out, name);
                out.push(b':');
                push_description(out, value);
            }
            out.push(b'}');
        }
    }
}

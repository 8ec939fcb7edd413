//! Rules, alerts and targets: this server has none, and says so in Prometheus' shapes, after the same
//! checks of the parameters. Selectors may hold large regular expressions: they are work for a blocking
//! thread here, too.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use metricstor_promql::parse_selector;

use crate::app::App;
use crate::error::ApiError;
use crate::param::{Form, parse_bool};
use crate::query::{blocking, selectors};
use crate::reply::success;

pub async fn rules(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let form = Form::of_query(request.uri().query().unwrap_or(""));
    if !matches!(form.get("type"), "" | "alert" | "record") {
        let reason = format!("not supported value {:?}", form.get("type"));
        return Err(ApiError::parameter("type", reason));
    }
    let exclude = form.get("exclude_alerts");
    if !exclude.is_empty() && parse_bool(exclude).is_none() {
        let reason = format!("strconv.ParseBool: parsing {exclude:?}: invalid syntax");
        let reason = format!("error converting exclude_alerts: {reason}");
        return Err(ApiError::parameter("exclude_alerts", reason));
    }
    let (limit, token) =
        (form.get("group_limit").to_owned(), form.get("group_next_token").to_owned());
    blocking(move || selectors(&app, &form)).await??;
    pages(&limit, &token)?;
    Ok(constant(r#"{"groups":[]}"#))
}

/// How many groups are wanted, and from where on: there is no place to go on from.
fn pages(limit: &str, token: &str) -> Result<(), ApiError> {
    match limit.parse::<i64>() {
        Ok(1..) if token.is_empty() => Ok(()),
        Ok(1..) => {
            let reason = format!("invalid group_next_token '{token}'. were rule groups changed?");
            Err(ApiError::parameter("group_next_token", reason))
        }
        Ok(_) => Err(ApiError::parameter("group_limit", "group_limit needs to be greater than 0")),
        Err(_) if limit.is_empty() && token.is_empty() => Ok(()),
        Err(_) if limit.is_empty() => {
            let reason = "group_limit needs to be present in order to paginate over the groups";
            Err(ApiError::parameter("group_next_token", reason))
        }
        Err(_) => {
            let reason = format!("strconv.ParseInt: parsing {limit:?}: invalid syntax");
            let reason = format!("group_limit needs to be a valid number: {reason}");
            Err(ApiError::parameter("group_limit", reason))
        }
    }
}

pub async fn alerts() -> Response {
    constant(r#"{"alerts":[]}"#)
}

pub async fn alertmanagers() -> Response {
    constant(r#"{"activeAlertmanagers":[],"droppedAlertmanagers":[]}"#)
}

pub async fn targets(request: Request) -> Response {
    let form = Form::of_query(request.uri().query().unwrap_or(""));
    let all = matches!(form.get("state").to_lowercase().as_str(), "" | "any" | "dropped");
    let dropped = if all { "{}" } else { "null" };
    constant(&format!(
        r#"{{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{dropped}}}"#
    ))
}

pub async fn targets_metadata(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let form = Form::of_query(request.uri().query().unwrap_or(""));
    let limit = form.get("limit");
    if !limit.is_empty() && limit.parse::<i64>().is_err() {
        return Err(ApiError::bad_data("limit must be a number"));
    }
    let target = form.get("match_target").to_owned();
    if !target.is_empty() {
        blocking(move || parse_selector(&target, app.engine.options().syntax))
            .await?
            .map_err(|error| ApiError::parameter("match_target", error))?;
    }
    Ok(list().await)
}

/// What relabelling makes of a target, step by step; there is no pool to look into.
pub async fn relabel_steps(request: Request) -> ApiError {
    let form = Form::of_query(request.uri().query().unwrap_or(""));
    let (pool, labels) = (form.get("scrapePool"), form.get("labels"));
    ApiError::bad_data(match (pool, labels) {
        ("", _) => "no scrapePool parameter provided".to_owned(),
        (_, "") => "no labels parameter provided".to_owned(),
        _ => match serde_json::from_str::<BTreeMap<String, String>>(labels) {
            Err(error) => format!("error parsing labels: {error}"),
            Ok(_) => format!("error retrieving scrape config: scrape pool {pool:?} not found"),
        },
    })
}

pub async fn scrape_pools() -> Response {
    constant(r#"{"scrapePools":[]}"#)
}

pub async fn list() -> Response {
    constant("[]")
}

fn constant(json: &str) -> Response {
    success(|out| out.extend_from_slice(json.as_bytes()))
}

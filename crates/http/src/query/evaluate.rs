//! `query` and `query_range`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use metricstor_model::Matcher;
use metricstor_promql::{
    Answer, Expr, Interrupt, QueryError, QueryOptions, QueryTime, Stopwatch, parse_with,
};

use super::effort::Effort;
use super::explain::stopwatch;
use super::result::{Statistics, size, write_answer};
use super::run::{Ask, Reading, Rest, run, short_syntax};
use crate::app::App;
use crate::caller::Caller;
use crate::error::{ApiError, ErrorType};
use crate::param::{Form, NANOSECONDS, parse_nanoseconds, read_form};
use crate::reply::{Gone, Sink};
use crate::view::View;

/// Prometheus' bound, checked before the query is even parsed.
const POINTS_MAX: i128 = 11_000;

pub async fn instant(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let (ask, form) = parameters(&app, request).await?;
    let limit = form.limit()?;
    let time = form.time_or("time", app.now())?;
    evaluate(&app, &caller, ask, form, QueryTime::Instant(time), limit).await
}

pub async fn range(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, ApiError> {
    let (ask, form) = parameters(&app, request).await?;
    let limit = form.limit()?;
    let (start, end) = (form.time("start")?, form.time("end")?);
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step = step(form.get("step"), end - start)?;
    evaluate(&app, &caller, ask, form, QueryTime::Range { start, end, step }, limit).await
}

/// Milliseconds; what is shorter has a part in the bound on points, and no steps to evaluate at.
fn step(text: &str, range: i64) -> Result<i64, ApiError> {
    let step = parse_nanoseconds(text).map_err(|reason| ApiError::parameter("step", reason))?;
    if step <= 0 {
        let reason = "zero or negative query resolution step widths are not accepted. \
                      Try a positive integer";
        return Err(ApiError::parameter("step", reason));
    }
    if i128::from(range) * i128::from(NANOSECONDS) / i128::from(step) > POINTS_MAX {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. \
             Try decreasing the query resolution (?step=XX)",
        ));
    }
    match step / NANOSECONDS {
        0 => {
            let text = "the step is shorter than a millisecond";
            Err(ApiError::new(ErrorType::Execution, text))
        }
        step => Ok(step),
    }
}

async fn parameters(app: &App, request: Request) -> Result<(Ask, Form), ApiError> {
    let mut ask = Ask::json(app, &request);
    let form = read_form(request, &app.config.requests).await?;
    form.get("query").clone_into(&mut ask.text);
    Ok((ask, form))
}

async fn evaluate(
    app: &Arc<App>,
    caller: &Caller,
    mut ask: Ask,
    form: Form,
    time: QueryTime,
    limit: Option<usize>,
) -> Result<Response, ApiError> {
    if let Some(ms) = form.duration("timeout")? {
        let asked = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        ask.timeout = ask.timeout.min(asked);
    }
    let options = QueryOptions {
        lookback_ms: lookback(&form)?,
        per_step_stats: form.get("stats") == "all",
        explain: matches!(form.get("explain"), "1" | "true").then_some(stopwatch as Stopwatch),
    };
    let own_memory = caller.grant().and_then(|grant| grant.limits().query_memory_bytes);
    let expr = parse_with(form.get("query"), short_syntax(app)).ok();
    ask.effort = expr.as_ref().map_or(Effort::Long, |expr| {
        let view = View::of(app, caller);
        let series = |matchers: &[Matcher]| view.at_most(matchers);
        Effort::of_query(app.engine.effort(expr, time, &options, series))
    });
    let asked = Asked { form, expr, time, options, limit, own_memory, queued: Instant::now() };
    run(app, caller, ask, move |reading, sink| match asked.answer(reading, reading.patience) {
        Err(QueryError::Longer) => Ok(Rest::later(move |reading, sink| {
            let answer = asked.answer(reading, reading.interrupt)?;
            Ok(asked.write(sink, &answer)?)
        })),
        answer => {
            let answer = answer?;
            let bytes = size(&answer.0);
            Ok(Rest::of_answer(sink, bytes, move |sink| asked.write(sink, &answer))?)
        }
    })
    .await
}

/// A query as it was asked for.
struct Asked {
    form: Form,
    /// What takes longer to parse, or is wrong, is parsed in its turn.
    expr: Option<Expr>,
    time: QueryTime,
    options: QueryOptions,
    limit: Option<usize>,
    own_memory: Option<u64>,
    queued: Instant,
}

impl Asked {
    fn answer(
        &self,
        reading: &Reading<'_>,
        interrupt: &Interrupt,
    ) -> Result<(Answer, Option<Statistics>), QueryError> {
        let queue_time = self.queued.elapsed();
        let began = Instant::now();
        let engine = reading.app.engine_with(self.own_memory);
        let text = self.form.get("query");
        let expr = match &self.expr {
            Some(expr) => Cow::Borrowed(expr),
            None => Cow::Owned(engine.parse(text)?),
        };
        let (view, time, options) = (reading.view, self.time, &self.options);
        let mut answer = engine.query_expr(view, &expr, text, time, options, interrupt)?;
        answer.warnings.extend(deprecated_statistics(self.form.get("stats")));
        let statistics = (!self.form.get("stats").is_empty()).then(|| Statistics {
            queue_time,
            evaluation_time: began.elapsed(),
            counts: answer.stats.clone(),
        });
        Ok((answer, statistics))
    }

    fn write(
        &self,
        sink: &mut Sink,
        (answer, statistics): &(Answer, Option<Statistics>),
    ) -> Result<(), Gone> {
        write_answer(sink, answer, self.limit, statistics.as_ref())
    }
}

/// Any text asks for statistics, for now.
fn deprecated_statistics(value: &str) -> Option<String> {
    (!matches!(value, "" | "true" | "all")).then(|| {
        format!(
            "value {value:?} for parameter \"stats\" is deprecated and will be rejected in the \
             next major release, use \"true\" or \"all\""
        )
    })
}

fn lookback(form: &Form) -> Result<Option<i64>, ApiError> {
    match form.get("lookback_delta") {
        "" => Ok(None),
        text => match parse_nanoseconds(text) {
            // Looking back for less than a millisecond finds what stands at the very time.
            Ok(1..NANOSECONDS) => Ok(Some(1)),
            Ok(nanoseconds) => Ok(Some(nanoseconds / NANOSECONDS)),
            Err(reason) => {
                let text = format!("error parsing lookback delta duration: {reason}");
                Err(ApiError::bad_data(text))
            }
        },
    }
}

//! Runs one case: as written, fixed to its moment at other times, and as the middle of a range.

use std::panic::{AssertUnwindSafe, catch_unwind};

use metricstor_promql::{
    Answer, Engine, EngineOptions, Expr, Interrupt, QueryError, QueryOptions, QueryTime,
    SampleValue, Value, VectorSample,
};

use crate::compare::{check_annotations, check_sorted, check_value};
use crate::pin::pin;
use crate::script::{Case, CaseTime};
use crate::store::Store;

pub enum Outcome {
    Passed,
    Failed(String),
    Superseded(&'static str),
}

impl Outcome {
    /// For a case that is wrong on purpose.
    pub fn inverted(self) -> Self {
        match self {
            Self::Passed => Self::Failed("passed, although it is wrong".into()),
            _ => Self::Passed,
        }
    }
}

const MINUTE: i64 = 60_000;

/// The engine that the files assume.
pub fn engine() -> Engine {
    Engine::new(EngineOptions {
        samples_max: 10_000,
        delayed_name_removal: true,
        start_timestamps: true,
        threads: 2,
        ..EngineOptions::default()
    })
    .expect("a thread can be started")
}

pub fn run(engine: &Engine, store: &Store, case: &Case) -> Outcome {
    let checked = catch_unwind(AssertUnwindSafe(|| Run { engine, store, case }.run()));
    match checked {
        Ok(Ok(())) => Outcome::Passed,
        Ok(Err(difference)) => Outcome::Failed(format!("{}\n    {difference}", case.query)),
        Err(_) => Outcome::Failed(format!("{}\n    panicked", case.query)),
    }
}

struct Run<'a> {
    engine: &'a Engine,
    store: &'a Store,
    case: &'a Case,
}

impl Run<'_> {
    fn run(&self) -> Result<(), String> {
        let expr = metricstor_promql::parse(&self.case.query)
            .map_err(|e| format!("does not parse: {e}"))?;
        match self.case.time {
            CaseTime::Range { start, end, step } => {
                let answer = self.query(&expr, QueryTime::Range { start, end, step });
                self.check(&answer, start, step)
            }
            CaseTime::Instant(at) => {
                let at = self.case.expect.range_vector.map_or(at, |(_, end, _)| end);
                self.check_instant(&expr, at)?;
                let mut pinned = expr.clone();
                if !pin(&mut pinned, at) {
                    return Ok(());
                }
                let others = if at == 0 {
                    vec![-1000, 0, 1000]
                } else {
                    vec![-10 * at, 0, at / 5, at, 10 * at]
                };
                others.into_iter().try_for_each(|other| {
                    self.check_instant(&pinned, other)
                        .map_err(|difference| format!("with @ {at} ms at {other} ms: {difference}"))
                })
            }
        }
    }

    fn query(&self, expr: &Expr, time: QueryTime) -> Result<Answer, QueryError> {
        let (text, options) = (&self.case.query, QueryOptions::default());
        self.engine.query_expr(self.store, expr, text, time, &options, &Interrupt::new())
    }

    fn check_instant(&self, expr: &Expr, at: i64) -> Result<(), String> {
        let expect = &self.case.expect;
        let answer = self.query(expr, QueryTime::Instant(at));
        let (start, _, step) = expect.range_vector.unwrap_or((at, at, 1));
        self.check(&answer, start, step)?;
        let Ok(Answer { value, .. }) = &answer else { return Ok(()) };
        let context = ["start()", "end()", "range()", "step()"];
        if matches!(value, Value::Matrix(_) | Value::String { .. })
            || context.iter().any(|call| self.case.query.contains(call))
        {
            return Ok(());
        }
        let time = QueryTime::Range { start: at - MINUTE, end: at + MINUTE, step: MINUTE };
        self.check_middle(expr, at, time, matches!(value, Value::Scalar { .. }))
            .map_err(|difference| format!("as a range: {difference}"))
    }

    fn check_middle(
        &self,
        expr: &Expr,
        at: i64,
        time: QueryTime,
        scalar: bool,
    ) -> Result<(), String> {
        let answer = self.query(expr, time).map_err(|e| e.to_string())?;
        if self.case.expect.ordered {
            return Ok(());
        }
        check_sorted(&answer.value)?;
        let Value::Matrix(matrix) = answer.value else { return Err("not a matrix".into()) };
        let mut samples = Vec::new();
        for series in matrix {
            let floats = series.floats.iter().map(|(t, v)| (*t, SampleValue::Float(*v)));
            let histograms = series.histograms.iter();
            let histograms = histograms.map(|(t, h)| (*t, SampleValue::Histogram(h.clone())));
            if let Some((timestamp, sample)) = floats.chain(histograms).find(|(t, _)| *t == at) {
                samples.push(VectorSample { labels: series.labels, timestamp, sample });
            }
        }
        let value = match samples.first() {
            Some(VectorSample { sample: SampleValue::Float(value), timestamp, .. }) if scalar => {
                Value::Scalar { timestamp: *timestamp, value: *value }
            }
            _ => Value::Vector(samples),
        };
        check_value(&self.case.expect, &value, at, 1)
    }

    fn check(
        &self,
        answer: &Result<Answer, QueryError>,
        start: i64,
        step: i64,
    ) -> Result<(), String> {
        let expect = &self.case.expect;
        match (answer, &expect.fail) {
            (Ok(_), Some(_)) => Err("expected an error, but there is none".into()),
            (Err(error), None) => Err(format!("error: {error}")),
            (Err(error), Some(pattern)) if pattern.matches(&error.to_string()) => Ok(()),
            (Err(error), Some(pattern)) => Err(format!("expected {pattern:?}, got error {error}")),
            (Ok(answer), None) => {
                check_annotations("warning", &expect.warnings, &answer.warnings)?;
                check_annotations("info", &expect.infos, &answer.infos)?;
                check_sorted(&answer.value)?;
                check_value(expect, &answer.value, start, step)
            }
        }
    }
}

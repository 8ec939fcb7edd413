//! The engine: parses, plans and evaluates one query against a source.

use std::sync::Arc;

use metricstor_memory::Budget;
use metricstor_model::Matcher;

use crate::ast::ValueType;
use crate::eval::grid::Grid;
use crate::eval::{
    Evaluator, Helpers, Profile, Query, effort_of_series, effort_of_windows, finish,
};
use crate::plan::{Plan, Settings, plan};
use crate::selectors::looks_further;
use crate::{Answer, Expr, Interrupt, ParseOptions, QueryError, Source, Stopwatch};

/// What an engine allows itself, and the language's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// What a query may be.
    pub syntax: ParseOptions,
    /// How far back an instant selector looks for a sample, in milliseconds.
    pub lookback_ms: i64,
    /// The most samples a query may hold at once.
    pub samples_max: usize,
    /// The most series a selector may match.
    pub series_max: usize,
    /// The most points per series of a range query.
    pub points_max: usize,
    /// The most bytes of columns a query may hold at once.
    pub memory_max: usize,
    /// What all queries share with the rest of the process.
    pub memory: Arc<Budget>,
    /// Metric names are removed at the end of the evaluation instead of by each operation.
    pub delayed_name_removal: bool,
    /// Threads that one query may use; as many, shared by all queries, help those that run.
    pub threads: usize,
    /// The step of a subquery that names none, in milliseconds.
    pub subquery_step_ms: i64,
    /// Counters start where their start timestamps say (`rate`, `increase`, `irate`, `resets`).
    pub start_timestamps: bool,
    /// `__type__` tells whether a metric is a counter, rather than its name.
    pub type_and_unit_labels: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            syntax: ParseOptions::default(),
            lookback_ms: 300_000,
            samples_max: 50_000_000,
            series_max: 10_000_000,
            points_max: 11_000,
            memory_max: 2 << 30,
            memory: Budget::unlimited(),
            delayed_name_removal: false,
            threads: 1,
            subquery_step_ms: 60_000,
            start_timestamps: false,
            type_and_unit_labels: false,
        }
    }
}

/// Settings of a single query.
#[derive(Debug, Clone, Default)]
pub struct QueryOptions {
    /// Overrides [`EngineOptions::lookback_ms`]; `None` and values below 1 do not.
    pub lookback_ms: Option<i64>,
    /// Fill the per-step lists of [`crate::Stats`].
    pub per_step_stats: bool,
    /// Fill [`Answer::explanation`], by this clock.
    pub explain: Option<Stopwatch>,
}

/// When to evaluate. Milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryTime {
    Instant(i64),
    /// `start`, `start + step`, … up to `end` inclusive; `step` > 0.
    Range {
        start: i64,
        end: i64,
        step: i64,
    },
}

/// Answers queries, from any number of threads at once. Copies share their helping threads.
#[derive(Debug, Clone)]
pub struct Engine {
    options: EngineOptions,
    helpers: Option<Arc<Helpers>>,
}

/// The threads that help queries could not be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the threads that help queries (setting query.threads): {0}")]
pub struct HelpersError(#[from] rayon::ThreadPoolBuildError);

impl Engine {
    /// # Errors
    /// When the system refuses the threads that `options` ask for.
    pub fn new(options: EngineOptions) -> Result<Self, HelpersError> {
        let helpers = match options.threads {
            0 | 1 => None,
            threads => Some(Arc::new(Helpers::new(threads)?)),
        };
        Ok(Self { options, helpers })
    }

    /// This engine with less memory for each query.
    pub fn with_memory_max(&self, bytes: usize) -> Self {
        let memory_max = bytes.min(self.options.memory_max);
        let options = EngineOptions { memory_max, ..self.options.clone() };
        Self { options, helpers: self.helpers.clone() }
    }

    pub(crate) fn helpers(&self) -> Option<&Helpers> {
        self.helpers.as_deref()
    }

    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The query that `text` is.
    pub fn parse(&self, text: &str) -> Result<Expr, QueryError> {
        Ok(crate::parse_with(text, self.options.syntax)?)
    }

    /// Parses and evaluates `text`.
    pub fn query(
        &self,
        source: &dyn Source,
        text: &str,
        time: QueryTime,
        interrupt: &Interrupt,
    ) -> Result<Answer, QueryError> {
        self.query_with(source, text, time, &QueryOptions::default(), interrupt)
    }

    /// [`Engine::query`] with settings for this query alone.
    pub fn query_with(
        &self,
        source: &dyn Source,
        text: &str,
        time: QueryTime,
        options: &QueryOptions,
        interrupt: &Interrupt,
    ) -> Result<Answer, QueryError> {
        let expr = self.parse(text)?;
        self.query_expr(source, &expr, text, time, options, interrupt)
    }

    /// Evaluates a parsed query; `text` is what it was parsed from (for positions in annotations).
    pub fn query_expr(
        &self,
        source: &dyn Source,
        expr: &Expr,
        text: &str,
        time: QueryTime,
        options: &QueryOptions,
        interrupt: &Interrupt,
    ) -> Result<Answer, QueryError> {
        let (plan, lookback) = self.plan(expr, time, options)?;
        let grid = plan.grid;
        let query = Query::new(&plan, self, lookback, source, interrupt)?;
        let mut evaluator = Evaluator::new(&query, &grid, options.per_step_stats);
        evaluator.profile = options.explain.map(|clock| Profile::new(clock, plan.nodes));
        let value = evaluator.evaluate(&plan.root, grid)?;
        interrupt.check()?;
        let range = matches!(time, QueryTime::Range { .. });
        let explanation = evaluator.profile.as_ref().map(|profile| profile.explain(&plan, text));
        Ok(Answer { explanation, ..finish(evaluator, value, &grid, range, text)? })
    }

    /// About how many cells and samples a query looks at, at most; `usize::MAX` where that is not
    /// easily told. `series` says how many series a selection matches at most.
    pub fn effort(
        &self,
        expr: &Expr,
        time: QueryTime,
        options: &QueryOptions,
        series: impl Fn(&[Matcher]) -> usize,
    ) -> usize {
        let Ok((plan, _)) = self.plan(expr, time, options) else { return usize::MAX };
        if looks_further(expr) {
            return usize::MAX;
        }
        let operations = plan.grid.len.saturating_mul(plan.nodes);
        let efforts = plan.selections.iter().map(|selection| {
            let range = selection.range.end.saturating_sub(selection.range.start);
            let one = effort_of_series(plan.grid.len, range);
            let windows = effort_of_windows(plan.grid.len, selection.hints.range);
            series(&selection.matchers).saturating_mul(one.saturating_add(windows))
        });
        efforts.fold(operations, usize::saturating_add)
    }

    fn plan(
        &self,
        expr: &Expr,
        time: QueryTime,
        options: &QueryOptions,
    ) -> Result<(Plan, i64), QueryError> {
        let lookback = options.lookback_ms.filter(|ms| *ms > 0).unwrap_or(self.options.lookback_ms);
        let (grid, step) = self.grid(expr, time)?;
        let settings = Settings { lookback, subquery_step: self.options.subquery_step_ms, step };
        Ok((plan(expr, grid, settings)?, lookback))
    }

    /// The times to evaluate at, and the step.
    fn grid(&self, expr: &Expr, time: QueryTime) -> Result<(Grid, i64), QueryError> {
        let (start, end, step) = match time {
            QueryTime::Instant(time) => return Ok((Grid::instant(time), 0)),
            QueryTime::Range { start, end, step } => (start, end, step),
        };
        let kind = expr.value_type();
        if !matches!(kind, ValueType::Scalar | ValueType::InstantVector) {
            return Err(QueryError::Invalid(format!(
                "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
                kind.documented()
            )));
        }
        Ok((Grid::range(start, end, step, self.options.samples_max)?, step))
    }
}

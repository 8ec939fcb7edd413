//! What all parts and threads of one evaluation share.

use std::sync::Arc;

use metricstor_model::{Labels, SeriesSet};

use crate::ast::Span;
use crate::eval::annotations::Annotations;
use crate::eval::budget::Budget;
use crate::eval::parallel::{Helpers, Threads};
use crate::plan::Plan;
use crate::{Engine, EngineOptions, Interrupt, QueryError, Source};

pub(crate) struct Query<'a> {
    pub options: &'a EngineOptions,
    pub helpers: Option<&'a Helpers>,
    /// Milliseconds.
    pub lookback: i64,
    pub source: &'a dyn Source,
    /// The answers to the plan's selections.
    sets: Vec<Arc<dyn SeriesSet>>,
    pub interrupt: &'a Interrupt,
    pub budget: Arc<Budget>,
    /// The empty label set, to be shared.
    pub no_labels: Labels,
}

impl<'a> Query<'a> {
    /// Asks the source for everything that the plan needs.
    pub fn new(
        plan: &Plan,
        engine: &'a Engine,
        lookback: i64,
        source: &'a dyn Source,
        interrupt: &'a Interrupt,
    ) -> Result<Self, QueryError> {
        let options = engine.options();
        let mut query = Self {
            options,
            helpers: engine.helpers(),
            lookback,
            source,
            sets: Vec::with_capacity(plan.selections.len()),
            interrupt,
            budget: Budget::new(options.memory_max, &options.memory),
            no_labels: Labels::empty(),
        };
        for selection in &plan.selections {
            interrupt.check()?;
            let set = source.select(&selection.matchers, selection.range, &selection.hints)?;
            query.check_series(set.len())?;
            query.sets.push(set);
        }
        Ok(query)
    }

    pub fn threads(&self) -> Threads<'a> {
        Threads { max: self.options.threads, helpers: self.helpers }
    }

    pub fn set(&self, selection: usize) -> &Arc<dyn SeriesSet> {
        &self.sets[selection]
    }

    /// Fails if a selector matches more series than allowed.
    pub fn check_series(&self, series: usize) -> Result<(), QueryError> {
        let max = self.options.series_max;
        if series > max {
            let detail =
                format!("a selector matches {series} series, more than the limit of {max}");
            return Err(QueryError::Limit { name: "series_max", detail });
        }
        Ok(())
    }

    /// Says so if a metric does not look like a counter.
    pub fn remark_non_counter(
        &self,
        name: &str,
        labels: impl Fn() -> Labels,
        span: Span,
        notes: &mut Annotations,
    ) {
        if name.is_empty() {
            return;
        }
        if self.options.type_and_unit_labels {
            let labels = labels();
            let kind = labels.get("__type__").unwrap_or("");
            if !matches!(kind, "counter" | "histogram") {
                notes.possibly_no_counter_type(name, kind, span);
            }
        } else if !["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end)) {
            notes.possibly_no_counter(name, span);
        }
    }
}

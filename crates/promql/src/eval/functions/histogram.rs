//! `histogram_quantile`, `histogram_quantiles` and `histogram_fraction` over classic and native
//! histograms together.

use std::sync::Arc;

use hashbrown::HashMap;
use metricstor_model::{FloatHistogram, Labels, METRIC_NAME, NanObservations, parse_float};

use super::text;
use crate::ast::{Span, ValueType};
use crate::eval::Evaluator;
use crate::eval::annotations::Annotations;
use crate::eval::frame::{Cell, Frame, Head, float_cell, is_float};
use crate::eval::grid::Grid;
use crate::eval::number::open_metrics;
use crate::eval::relabel::without_metadata;
use crate::eval::scalar::Scalar;
use crate::histogram::{self, ClassicBucket};
use crate::plan::Call;
use crate::{Interrupt, QueryError};

const BUCKET: &str = "le";

/// What is asked of each histogram.
enum Question {
    Quantile(Scalar),
    /// Of the observations between two values.
    Fraction(Scalar, Scalar),
}

/// Steps at which a result has a label of its own, besides those of its group.
struct Part {
    label: Option<(String, String)>,
    /// Ascending.
    steps: Vec<usize>,
}

/// A histogram's series: all that differ in `le` only, and the native one of the same labels.
struct Group {
    /// Without `le`.
    labels: Labels,
    drop_name: bool,
    /// Buckets in ascending order of their bounds, with their series.
    buckets: Vec<(f64, usize)>,
    native: Option<usize>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn histogram_function(
        &mut self,
        call: &'a Call,
        grid: Grid,
    ) -> Result<Frame, QueryError> {
        let mut questions = Vec::new();
        let vector = match call.function.name {
            "histogram_quantile" => {
                let q = self.scalar(&call.args[0], grid)?;
                questions.push((None, Question::Quantile(q)));
                1
            }
            "histogram_fraction" => {
                let lower = self.scalar(&call.args[0], grid)?;
                let upper = self.scalar(&call.args[1], grid)?;
                questions.push((None, Question::Fraction(lower, upper)));
                2
            }
            _ => {
                for arg in &call.args[2..] {
                    let q = self.scalar(arg, grid)?;
                    questions.push((Some(text(&call.args[1])), Question::Quantile(q)));
                }
                0
            }
        };
        let input = self.vector(&call.args[vector], grid)?;
        let params = call
            .args
            .iter()
            .enumerate()
            .filter(|(i, arg)| *i != vector && arg.value_type == ValueType::Scalar);
        for ((_, question), (_, arg)) in questions.iter().zip(params) {
            if let Question::Quantile(q) = question {
                self.check_quantile(q, grid, arg.span);
            }
        }
        let answers = Answers {
            input: &input,
            grid,
            span: call.args[vector].span,
            delayed: self.query.options.delayed_name_removal,
            interrupt: self.query.interrupt,
            notes: &mut self.notes,
        };
        let frame = answers.all(&questions)?;
        self.settle_names(frame, grid, false)
    }

    fn check_quantile(&mut self, q: &Scalar, grid: Grid, span: Span) {
        for q in q.values(grid.len) {
            if !(0.0..=1.0).contains(&q) {
                self.notes.invalid_quantile(q, span);
            }
        }
    }
}

struct Answers<'a> {
    input: &'a Frame,
    grid: Grid,
    /// Of the vector.
    span: Span,
    delayed: bool,
    interrupt: &'a Interrupt,
    notes: &'a mut Annotations,
}

impl Answers<'_> {
    fn all(mut self, questions: &[(Option<String>, Question)]) -> Result<Frame, QueryError> {
        let groups = self.groups();
        let mut output = self.input.empty_like();
        for (label, question) in questions {
            let parts = match (label, question) {
                // Each value that the quantile takes has a series of its own.
                (Some(label), Question::Quantile(q)) => self.labelled(label, q),
                _ => vec![Part { label: None, steps: (0..self.grid.len).collect() }],
            };
            for part in parts {
                output.reserve(groups.len())?;
                for group in &groups {
                    self.interrupt.check()?;
                    self.answer(group, question, &part, &mut output)?;
                }
            }
        }
        output.compact();
        Ok(output)
    }

    /// The label for each value of a quantile, with the steps at which it has that value.
    fn labelled(&self, name: &str, q: &Scalar) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        let mut index: HashMap<String, usize> = HashMap::new();
        for (step, q) in q.values(self.grid.len).enumerate() {
            let text = open_metrics(q);
            let at = *index.entry_ref(text.as_str()).or_insert_with(|| {
                let label = Some((name.to_owned(), text.clone()));
                parts.push(Part { label, steps: Vec::new() });
                parts.len() - 1
            });
            parts[at].steps.push(step);
        }
        parts
    }

    /// The histograms among the series, native ones first.
    fn groups(&mut self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut index: HashMap<Labels, usize> = HashMap::new();
        let order = self.order();
        for (i, native) in order {
            let head = &self.input.heads[i];
            let labels = if native {
                head.labels.clone()
            } else {
                let le = head.labels.get(BUCKET).unwrap_or("");
                if parse_float(le).is_none() {
                    let name = self.name_of(&head.labels);
                    self.notes.bad_bucket_label(&name, le, self.span);
                    continue;
                }
                head.labels.retain(|name| name != BUCKET)
            };
            let at = *index.entry(labels).or_insert_with_key(|labels| {
                groups.push(Group {
                    labels: labels.clone(),
                    drop_name: true,
                    buckets: Vec::new(),
                    native: None,
                });
                groups.len() - 1
            });
            if native {
                groups[at].native = Some(i);
            } else if let Some(bound) = head.labels.get(BUCKET).and_then(parse_float) {
                groups[at].buckets.push((bound, i));
            }
        }
        for group in &mut groups {
            group.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        groups
    }

    /// Every series with native histograms, then every one with floats; a series may be both.
    fn order(&self) -> Vec<(usize, bool)> {
        let series = 0..self.input.len();
        let native = series.clone().filter(|i| self.input.column(*i).has_histograms());
        let classic =
            series.filter(|i| self.input.column(*i).cells.iter().any(|cell| is_float(*cell)));
        native.map(|i| (i, true)).chain(classic.map(|i| (i, false))).collect()
    }

    /// What is said about a histogram names the metric only if names are removed later.
    fn name_of(&self, labels: &Labels) -> String {
        let name = if self.delayed { labels.get(METRIC_NAME) } else { None };
        name.unwrap_or("").to_owned()
    }

    fn answer(
        &mut self,
        group: &Group,
        question: &Question,
        part: &Part,
        output: &mut Frame,
    ) -> Result<(), QueryError> {
        let mut labels = group.labels.clone();
        if !self.delayed {
            labels = without_metadata(&labels);
        }
        if let Some((name, value)) = &part.label {
            let mut builder = labels.to_builder();
            builder.set(name, value);
            labels = builder.build().map_err(|e| QueryError::execution(e.to_string()))?;
        }
        let row = output.push_absent(Head { labels, drop_name: group.drop_name });
        let mut buckets = Vec::with_capacity(group.buckets.len());
        for &step in &part.steps {
            buckets.clear();
            for &(upper, i) in &group.buckets {
                if let Cell::Float(count) = self.input.column(i).get(step) {
                    buckets.push(ClassicBucket { upper, count });
                }
            }
            let native = group.native.and_then(|i| self.input.column(i).histogram(step));
            let value = match (native, buckets.is_empty()) {
                (Some(_), false) => {
                    let name = self.name_of(&group.labels);
                    self.notes.mixed_classic_native(&name, self.span);
                    continue;
                }
                (Some(native), true) => self.native(native, question, step, &group.labels),
                (None, false) => self.classic(&mut buckets, question, step, &group.labels),
                (None, true) => continue,
            };
            output.cells_mut(row)[step] = float_cell(value);
        }
        Ok(())
    }

    fn native(
        &mut self,
        histogram: &Arc<FloatHistogram>,
        question: &Question,
        step: usize,
        labels: &Labels,
    ) -> f64 {
        let name = self.name_of(labels);
        match question {
            Question::Quantile(q) => {
                let quantile = histogram.quantile(q.at(step));
                match quantile.nan {
                    NanObservations::None => {}
                    NanObservations::SkewedHigher => {
                        self.notes.quantile_is_skewed(&name, self.span);
                    }
                    NanObservations::ResultIsNan => self.notes.quantile_is_nan(&name, self.span),
                }
                quantile.value
            }
            Question::Fraction(lower, upper) => {
                let fraction = histogram.fraction(lower.at(step), upper.at(step));
                if fraction.nan_excluded {
                    self.notes.fraction_excludes_nan(&name, self.span);
                }
                fraction.value
            }
        }
    }

    fn classic(
        &mut self,
        buckets: &mut Vec<ClassicBucket>,
        question: &Question,
        step: usize,
        labels: &Labels,
    ) -> f64 {
        match question {
            Question::Quantile(q) => {
                let (value, made_monotonic) = histogram::quantile(q.at(step), buckets);
                if let Some(made) = made_monotonic {
                    let name = self.name_of(labels);
                    let time = self.grid.time(step);
                    self.notes.forced_monotonicity(&name, time, &made, self.span);
                }
                value
            }
            Question::Fraction(lower, upper) => {
                histogram::fraction(lower.at(step), upper.at(step), buckets)
            }
        }
    }
}

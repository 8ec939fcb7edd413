//! What a query's evaluation has to say besides its value: warnings and infos, in Prometheus' words.
//!
//! Invariant: each text occurs once; of equal ones the last to be added gives the position.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::ast::Span;
use crate::eval::calendar::rfc3339;
use crate::eval::number::{general, general_rounded};
use crate::histogram::MadeMonotonic;
use crate::print::quote;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Warning,
    Info,
}

/// What several equal annotations add up to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Detail {
    None,
    /// Occurrences of overlapping start times.
    Overlaps(u64),
    Monotonicity(Monotonicity),
}

/// Where classic buckets had to be made monotonic.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Monotonicity {
    time_min: i64,
    time_max: i64,
    bucket_min: f64,
    bucket_max: f64,
    difference_max: f64,
    samples: u64,
}

impl Monotonicity {
    fn at(time: i64, made: &MadeMonotonic) -> Self {
        Self {
            time_min: time,
            time_max: time,
            bucket_min: made.bucket_min,
            bucket_max: made.bucket_max,
            difference_max: made.difference_max,
            samples: 1,
        }
    }

    fn merge(&mut self, other: &Self) {
        self.time_min = self.time_min.min(other.time_min);
        self.time_max = self.time_max.max(other.time_max);
        self.bucket_min = self.bucket_min.min(other.bucket_min);
        self.bucket_max = self.bucket_max.max(other.bucket_max);
        self.difference_max = self.difference_max.max(other.difference_max);
        self.samples += other.samples;
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    level: Level,
    span: Span,
    detail: Detail,
}

/// The histogram operation an annotation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Addition,
    Subtraction,
    Aggregation,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Annotations {
    entries: BTreeMap<String, Entry>,
}

impl Annotations {
    fn add(&mut self, level: Level, text: String, span: Span, detail: Detail) {
        self.insert(text, Entry { level, span, detail });
    }

    fn insert(&mut self, text: String, mut entry: Entry) {
        if let Some(before) = self.entries.get(&text) {
            match (&mut entry.detail, &before.detail) {
                (Detail::Overlaps(count), Detail::Overlaps(earlier)) => *count += earlier,
                (Detail::Monotonicity(all), Detail::Monotonicity(earlier)) => all.merge(earlier),
                _ => {}
            }
        }
        self.entries.insert(text, entry);
    }

    fn warning(&mut self, text: impl Into<String>, span: Span) {
        self.add(Level::Warning, text.into(), span, Detail::None);
    }

    fn info(&mut self, text: impl Into<String>, span: Span) {
        self.add(Level::Info, text.into(), span, Detail::None);
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds everything of `later`.
    pub fn merge(&mut self, later: Self) {
        if self.entries.is_empty() {
            self.entries = later.entries;
            return;
        }
        for (text, entry) in later.entries {
            self.insert(text, entry);
        }
    }

    /// The warnings and the infos, with positions in `query`.
    pub fn render(&self, query: &str) -> (Vec<String>, Vec<String>) {
        let (mut warnings, mut infos) = (Vec::new(), Vec::new());
        for (text, entry) in &self.entries {
            let line = entry.render(text, query);
            match entry.level {
                Level::Warning => warnings.push(format!("PromQL warning: {line}")),
                Level::Info => infos.push(format!("PromQL info: {line}")),
            }
        }
        (warnings, infos)
    }
}

impl Entry {
    fn render(&self, text: &str, query: &str) -> String {
        let mut line = text.to_owned();
        let written = match &self.detail {
            Detail::None | Detail::Overlaps(..=1) => Ok(()),
            Detail::Overlaps(count) => write!(line, " ({count} occurrences)"),
            Detail::Monotonicity(all) => write!(
                line,
                ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                general(all.bucket_min),
                general(all.bucket_max),
                general_rounded(all.difference_max, 2),
                all.samples,
                rfc3339(all.time_min),
                rfc3339(all.time_max),
            ),
        };
        written.expect("writing to a string does not fail");
        let (row, column) = position(query, self.span.start);
        write!(line, " ({row}:{column})").expect("writing to a string does not fail");
        line
    }
}

/// Line and column of a byte, both counted from 1, columns in bytes.
fn position(query: &str, at: usize) -> (usize, usize) {
    let before = &query.as_bytes()[..at.min(query.len())];
    let row = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    (row, before.len() - line_start + 1)
}

fn with_name(text: &str, name: &str) -> String {
    if name.is_empty() {
        text.to_owned()
    } else {
        format!("{text} for metric name {}", quote(name))
    }
}

/// One method for each thing there is to say.
impl Annotations {
    pub fn invalid_quantile(&mut self, q: f64, span: Span) {
        let got = general(q);
        self.warning(format!("quantile value should be between 0 and 1, got {got}"), span);
    }

    pub fn invalid_ratio(&mut self, ratio: f64, cap: f64, span: Span) {
        let (got, cap) = (general(ratio), general(cap));
        let text = format!("ratio value should be between -1 and 1, got {got}, capping to {cap}");
        self.warning(text, span);
    }

    pub fn bad_bucket_label(&mut self, name: &str, le: &str, span: Span) {
        let le = quote(le);
        let text = format!("bucket label \"le\" is missing or has a malformed value of {le}");
        self.warning(with_name(&text, name), span);
    }

    pub fn mixed_floats_histograms(&mut self, name: &str, span: Span) {
        let name = quote(name);
        let text = format!("encountered a mix of histograms and floats for metric name {name}");
        self.warning(text, span);
    }

    pub fn mixed_floats_histograms_aggregation(&mut self, span: Span) {
        self.warning("encountered a mix of histograms and floats for aggregation", span);
    }

    pub fn mixed_classic_native(&mut self, name: &str, span: Span) {
        let text = "vector contains a mix of classic and native histograms";
        self.warning(with_name(text, name), span);
    }

    pub fn not_a_counter(&mut self, name: &str, span: Span) {
        let name = quote(name);
        self.warning(format!("this native histogram metric is not a counter: {name}"), span);
    }

    pub fn not_a_gauge(&mut self, name: &str, span: Span) {
        let name = quote(name);
        self.warning(format!("this native histogram metric is not a gauge: {name}"), span);
    }

    pub fn mixed_exponential_custom(&mut self, name: &str, span: Span) {
        let text = "vector contains a mix of histograms with exponential and custom buckets schemas \
                    for metric name";
        self.warning(format!("{text} {}", quote(name)), span);
    }

    pub fn incompatible_bucket_layout(&mut self, operator: &str, span: Span) {
        let text = "incompatible bucket layout encountered for binary operator";
        self.warning(format!("{text} {operator}"), span);
    }

    pub fn sort_in_range_query(&mut self, span: Span) {
        let text =
            "sort is ineffective for range queries since results are always ordered by labels";
        self.warning(text, span);
    }

    pub fn counter_reset_collision(&mut self, operation: Operation, span: Span) {
        let text = "conflicting counter resets during histogram";
        self.warning(format!("{text} {}", operation.name()), span);
    }

    pub fn start_time_overlap(&mut self, name: &str, span: Span) {
        let text = "sample has start time that overlaps with previous sample timestamp for metric";
        let text = format!("{text} {}", quote(name));
        self.add(Level::Warning, text, span, Detail::Overlaps(1));
    }

    pub fn possibly_no_counter(&mut self, name: &str, span: Span) {
        let text =
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
        self.info(format!("{text} {}", quote(name)), span);
    }

    pub fn possibly_no_counter_type(&mut self, name: &str, kind: &str, span: Span) {
        let text = "metric might not be a counter, __type__ label is not set to \"counter\" or \
                    \"histogram\"";
        self.info(format!("{text}, got {}: {}", quote(kind), quote(name)), span);
    }

    pub fn forced_monotonicity(&mut self, name: &str, time: i64, made: &MadeMonotonic, span: Span) {
        let detail = Monotonicity::at(time, made);
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
            https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        self.add(Level::Info, with_name(text, name), span, Detail::Monotonicity(detail));
    }

    pub fn incompatible_types(&mut self, lhs: &str, operator: &str, rhs: &str, span: Span) {
        let text = "incompatible sample types encountered for binary operator";
        self.info(format!("{text} {}: {lhs} {operator} {rhs}", quote(operator)), span);
    }

    pub fn histogram_ignored_in_aggregation(&mut self, aggregation: &str, span: Span) {
        self.info(format!("ignored histogram in {aggregation} aggregation"), span);
    }

    pub fn histogram_ignored_in_mixed_range(&mut self, name: &str, span: Span) {
        let text = "ignored histograms in a range containing both floats and histograms for metric \
                    name";
        self.info(format!("{text} {}", quote(name)), span);
    }

    pub fn quantile_is_nan(&mut self, name: &str, span: Span) {
        let text = "input to histogram_quantile has NaN observations, result is NaN";
        self.info(with_name(text, name), span);
    }

    pub fn quantile_is_skewed(&mut self, name: &str, span: Span) {
        let text = "input to histogram_quantile has NaN observations, result is skewed higher";
        self.info(with_name(text, name), span);
    }

    pub fn fraction_excludes_nan(&mut self, name: &str, span: Span) {
        let text = "input to histogram_fraction has NaN observations, which are excluded from all \
                    fractions";
        self.info(with_name(text, name), span);
    }

    pub fn mismatched_custom_buckets(&mut self, operation: Operation, span: Span) {
        let text = "mismatched custom buckets were reconciled during";
        self.info(format!("{text} {}", operation.name()), span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_annotation_at_the_last_position() {
        let mut notes = Annotations::default();
        notes.invalid_quantile(1.5, Span { start: 0, end: 1 });
        notes.invalid_quantile(1.5, Span { start: 9, end: 10 });
        let expected = "PromQL warning: quantile value should be between 0 and 1, got 1.5 (2:3)";
        assert_eq!(notes.render("line 1\nquantile(..)"), (vec![expected.to_owned()], Vec::new()));
    }

    #[test]
    fn monotonicity_adds_up() {
        let mut notes = Annotations::default();
        for (time, bucket) in [(0, 0.1), (60_000, 1e21)] {
            let (bucket_min, bucket_max, difference_max) = (bucket, bucket, 123.0);
            let made = MadeMonotonic { bucket_min, bucket_max, difference_max };
            notes.forced_monotonicity("x", time, &made, Span::default());
        }
        let (_, infos) = notes.render("q");
        let tail = "for metric name \"x\", from buckets 0.1 to 1e+21, with a max diff of 1.2e+02, \
                    over 2 samples from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z (1:1)";
        assert!(infos[0].ends_with(tail), "{}", infos[0]);
    }
}

//! `info`: adds the labels of info metrics (`target_info`) to the series they are about.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use metricstor_model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher, Samples};

use crate::eval::Evaluator;
use crate::eval::frame::{Cell, Frame, Head};
use crate::eval::grid::{Grid, Shift};
use crate::eval::instant::{Take, pick};
use crate::eval::range::window::Results;
use crate::eval::range::windows::{Reach, Windows};
use crate::eval::reading::read_one;
use crate::eval::samples::Reads;
use crate::plan::{Call, Kind};
use crate::{Hints, QueryError};

/// The labels that tell what a series is about.
const IDENTITY: [&str; 2] = ["instance", "job"];
const DEFAULT_METRIC: &str = "target_info";

/// What was asked for: which info metrics, and which of their labels.
struct Wanted {
    names: Vec<Matcher>,
    labels: Vec<Matcher>,
}

impl Wanted {
    fn new(call: &Call) -> Result<Self, QueryError> {
        let matchers: &[Matcher] = match call.args.get(1).map(|arg| &arg.kind) {
            Some(Kind::Matchers(matchers)) => matchers,
            _ => &[],
        };
        let (mut names, labels): (Vec<Matcher>, Vec<Matcher>) =
            matchers.iter().cloned().partition(|matcher| matcher.name == METRIC_NAME);
        let positive = |m: &Matcher| matches!(m.op, MatchOp::Equal | MatchOp::Regex);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, DEFAULT_METRIC));
        } else if !names.iter().any(positive) {
            names.insert(0, regex(METRIC_NAME, ".+_info")?);
        }
        Ok(Self { names, labels })
    }

    fn is_info(&self, labels: &Labels) -> bool {
        self.names.iter().all(|matcher| matcher.matches(labels.metric_name()))
    }

    fn wants(&self, label: &str) -> bool {
        self.labels.is_empty() || self.labels.iter().any(|matcher| matcher.name == label)
    }

    /// May a series stay without any info?
    fn optional(&self) -> bool {
        self.labels.iter().all(|matcher| matcher.matches(""))
    }
}

fn regex(label: &str, pattern: &str) -> Result<Matcher, QueryError> {
    Matcher::new(MatchOp::Regex, label, pattern)
        .map_err(|error| QueryError::execution(error.to_string()))
}

fn identity(labels: &Labels) -> Labels {
    labels.retain(|name| IDENTITY.contains(&name))
}

/// The info series: for each step, the time of the sample that stands there.
struct Info {
    frame: Frame,
    /// By metric name and identity.
    by_identity: BTreeMap<String, HashMap<Labels, Vec<usize>>>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn info(&mut self, call: &'a Call, grid: Grid) -> Result<Frame, QueryError> {
        let shift = call.args[0].first_shift().unwrap_or_default();
        let base = self.vector(&call.args[0], grid)?;
        let wanted = Wanted::new(call)?;
        let info = self.info_series(&base, &wanted, shift, grid)?;
        let mut joined = Joined {
            output: base.empty_like(),
            rows: HashMap::new(),
            interrupt: self.query.interrupt,
        };
        joined.join(&base, &info, &wanted, grid)?;
        let mut output = joined.output;
        output.compact();
        Ok(output)
    }

    /// Reads the info series that can be about one of the series.
    fn info_series(
        &mut self,
        base: &Frame,
        wanted: &Wanted,
        shift: Shift,
        grid: Grid,
    ) -> Result<Info, QueryError> {
        let mut info = Info { frame: self.empty(grid), by_identity: BTreeMap::new() };
        let Some(mut matchers) = identity_matchers(base, wanted)? else { return Ok(info) };
        matchers.extend(wanted.labels.iter().chain(&wanted.names).cloned());
        let (query, lookback) = (self.query, self.query.lookback);
        let times = shift.range(&grid, lookback, 0);
        let hints = Hints { step: grid.step, range: 0, func: "info" };
        let set = query.source.select(&matchers, times, &hints)?;
        query.check_series(set.len())?;
        let (mut samples, mut results) = (Samples::default(), Results::default());
        let reach = Reach { shift, range: 0, before: lookback, after: 0 };
        let mut windows = Windows::new(grid, reach);
        let mut reads = Reads::new(self.reads.total_by_step.len());
        let mut claim = query.budget.claim();
        for i in 0..set.len() {
            query.interrupt.check()?;
            read_one(&*set, i, times, &mut claim, &mut samples)?;
            if !samples.histograms.is_empty() {
                let text = "this should be an info metric, with float samples: ";
                return Err(QueryError::execution(format!("{text}{}", set.labels(i))));
            }
            pick(&samples, &mut windows, Take::Time, &mut results, &mut reads);
            if results.any {
                info.frame.reserve(1)?;
                info.frame.push(Head::new(set.labels(i)), &results.cells, Vec::new());
            }
        }
        self.reads.merge(&reads);
        for (i, head) in info.frame.heads.iter().enumerate() {
            let of_name = info.by_identity.entry(head.labels.metric_name().to_owned()).or_default();
            of_name.entry(identity(&head.labels)).or_default().push(i);
        }
        Ok(info)
    }
}

/// Matchers for all values of the identifying labels; `None` if no series has any.
fn identity_matchers(base: &Frame, wanted: &Wanted) -> Result<Option<Vec<Matcher>>, QueryError> {
    let mut matchers = Vec::new();
    for label in IDENTITY {
        let series = base.heads.iter().filter(|head| !wanted.is_info(&head.labels));
        let values: BTreeSet<&str> = series.filter_map(|head| head.labels.get(label)).collect();
        if !values.is_empty() {
            let escaped: Vec<String> = values.into_iter().map(escape).collect();
            matchers.push(regex(label, &escaped.join("|"))?);
        }
    }
    Ok((!matchers.is_empty()).then_some(matchers))
}

/// A regular expression for this very text.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The series with the info's labels.
struct Joined<'a> {
    output: Frame,
    rows: HashMap<Labels, usize>,
    interrupt: &'a crate::Interrupt,
}

impl Joined<'_> {
    fn join(
        &mut self,
        base: &Frame,
        info: &Info,
        wanted: &Wanted,
        grid: Grid,
    ) -> Result<(), QueryError> {
        for step in 0..grid.len {
            self.interrupt.check()?;
            if (0..base.len()).all(|i| matches!(base.column(i).get(step), Cell::Absent)) {
                continue;
            }
            let newest = newest_info(info, step)?;
            for (head, column) in base.columns() {
                let sample = column.get(step);
                if matches!(sample, Cell::Absent) {
                    continue;
                }
                let labels = if wanted.is_info(&head.labels) {
                    Some(head.labels.clone())
                } else {
                    enriched(&head.labels, info, &newest, wanted)?
                };
                if let Some(labels) = labels {
                    self.set(Head { labels, drop_name: head.drop_name }, step, sample)?;
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, head: Head, step: usize, sample: Cell<'_>) -> Result<(), QueryError> {
        let row = match self.rows.get(&head.labels) {
            Some(row) => *row,
            None => {
                self.output.reserve(1)?;
                let labels = head.labels.clone();
                let row = self.output.push_absent(head);
                self.rows.insert(labels, row);
                row
            }
        };
        if !matches!(self.output.column(row).get(step), Cell::Absent) {
            let text = "vector cannot contain metrics with the same labelset";
            return Err(QueryError::execution(text));
        }
        match sample {
            Cell::Absent => {}
            Cell::Float(value) => self.output.cells_mut(row)[step] = value,
            Cell::Histogram(h) => self.output.set_histogram(row, step, h.clone()),
        }
        Ok(())
    }
}

/// By metric name and identity, the info series with the newest sample at a step.
type Newest<'a> = BTreeMap<&'a str, HashMap<&'a Labels, usize>>;

fn newest_info(info: &Info, step: usize) -> Result<Newest<'_>, QueryError> {
    let time = |i: usize| match info.frame.column(i).get(step) {
        Cell::Float(seconds) => Some(seconds),
        _ => None,
    };
    let mut newest = Newest::new();
    for (name, by_identity) in &info.by_identity {
        let of_name = newest.entry(name.as_str()).or_default();
        for (identity, series) in by_identity {
            let mut best: Option<(usize, f64)> = None;
            for &i in series {
                let Some(seconds) = time(i) else { continue };
                match best {
                    Some((other, at)) if at == seconds => {
                        return Err(conflict(info, other, i, seconds));
                    }
                    Some((_, at)) if at > seconds => {}
                    _ => best = Some((i, seconds)),
                }
            }
            if let Some((i, _)) = best {
                of_name.insert(identity, i);
            }
        }
    }
    Ok(newest)
}

fn conflict(info: &Info, existing: usize, new: usize, seconds: f64) -> QueryError {
    let milliseconds = (seconds * 1000.0).round();
    let labels = |i: usize| &info.frame.heads[i].labels;
    QueryError::execution(format!(
        "found duplicate series for info metric: existing {} @ {milliseconds}, new {} @ \
         {milliseconds}",
        labels(existing),
        labels(new),
    ))
}

/// A series' labels with those of its info; `None` if it has none but must.
fn enriched(
    labels: &Labels,
    info: &Info,
    newest: &Newest<'_>,
    wanted: &Wanted,
) -> Result<Option<Labels>, QueryError> {
    let identity = identity(labels);
    let mut added = LabelsBuilder::new();
    let mut found = false;
    for of_name in newest.values() {
        let Some(&i) = of_name.get(&identity) else { continue };
        found = true;
        for (name, value) in info.frame.heads[i].labels.iter() {
            if name == METRIC_NAME || !wanted.wants(name) {
                continue;
            }
            if added.get(name).is_some_and(|other| other != value) {
                return Err(QueryError::execution(format!("conflicting label: {name}")));
            }
            if labels.get(name).is_none() {
                added.set(name, value);
            }
        }
    }
    if !found && !wanted.optional() {
        return Ok(None);
    }
    let error = |error: metricstor_model::LabelsError| QueryError::execution(error.to_string());
    let added = added.build().map_err(error)?;
    let mut builder = labels.to_builder();
    added.iter().for_each(|(name, value)| {
        builder.set(name, value);
    });
    builder.build().map(Some).map_err(error)
}

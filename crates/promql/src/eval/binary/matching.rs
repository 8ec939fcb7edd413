//! Arithmetic and comparison between series that match one to one, or many to one.
//!
//! Invariant: what is an error at a step is the error of the earliest such step, and of several
//! remarks at one step the last is made, as if steps were evaluated one after the other.

use hashbrown::{HashMap, HashSet};
use metricstor_model::{Labels, METRIC_NAME};

use super::findings::{Fault, Findings};
use super::one_to_one;
use super::signature::{Signatures, matched_labels};
use crate::QueryError;
use crate::ast::{Cardinality, Span, VectorMatching};
use crate::eval::annotations::Annotations;
use crate::eval::frame::{Cell, Frame, Head, float_cell, is_absent};
use crate::eval::operator::{Combined, combine};
use crate::eval::query::Query;
use crate::eval::relabel::is_metadata;
use crate::plan::Binary;

pub(super) struct Matching<'a> {
    pub query: &'a Query<'a>,
    pub binary: &'a Binary,
    pub rules: &'a VectorMatching,
    pub span: Span,
    pub signatures: &'a Signatures,
    pub instant: bool,
    /// Can results have the same labels?
    pub ambiguous: std::cell::Cell<bool>,
}

/// The two sides by their role; `one` has one series per pairing at most.
struct Sides<'a> {
    many: &'a Frame,
    one: &'a Frame,
    /// The many side stands on the right.
    swapped: bool,
}

/// One pairing's results.
struct Results<'a> {
    output: &'a mut Frame,
    /// Where each result comes in Prometheus' order.
    places: &'a mut Vec<usize>,
    /// The row of a pair of series, and the number of its labels; `None` stands for a fill value.
    rows: HashMap<(Option<usize>, Option<usize>), (usize, usize)>,
    /// The labels of the pairing's results, numbered.
    labels: HashMap<Labels, usize>,
    /// By number, the last step with such a result.
    last_steps: Vec<Option<usize>>,
}

impl Matching<'_> {
    pub fn apply(
        &self,
        lhs: &Frame,
        rhs: &Frame,
        notes: &mut Annotations,
    ) -> Result<(Frame, bool), QueryError> {
        let swapped = self.rules.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
        let sides = Sides { many, one, swapped };
        let mut output = lhs.empty_like();
        let (mut places, mut findings) = (Vec::new(), Findings::default());
        self.ambiguous.set(!self.rules.include.is_empty());
        for pairing in 0..self.signatures.len() {
            self.query.interrupt.check()?;
            if !self.fast(&sides, pairing, &mut output, &mut places)? {
                self.ambiguous.set(true);
                self.pair(&sides, pairing, &mut output, &mut places, &mut findings)?;
            }
        }
        if let Some((_, fault)) = findings.fault {
            return Err(self.error(&sides, fault));
        }
        let mut steps: Vec<_> = findings.remarks.into_iter().collect();
        steps.sort_by_key(|(step, _)| *step);
        steps.into_iter().for_each(|(_, (_, remark))| notes.merge(remark));
        Ok((self.arrange(output, &places), !self.ambiguous.get()))
    }

    /// Puts the results in Prometheus' order and drops those without samples.
    fn arrange(&self, mut output: Frame, places: &[usize]) -> Frame {
        if self.instant && !places.is_sorted() {
            let mut order: Vec<usize> = (0..output.len()).collect();
            order.sort_by_key(|i| places[*i]);
            output.arrange(&order);
        }
        output.compact();
        output
    }

    /// The series of a pairing, on the many side and on the one side.
    fn members(&self, sides: &Sides<'_>, pairing: usize) -> (&[usize], &[usize]) {
        let lhs = self.signatures.lhs.members(pairing);
        let rhs = self.signatures.rhs.members(pairing);
        if sides.swapped { (rhs, lhs) } else { (lhs, rhs) }
    }

    /// Evaluates a pairing at once if nothing can go wrong in it.
    fn fast(
        &self,
        sides: &Sides<'_>,
        pairing: usize,
        output: &mut Frame,
        places: &mut Vec<usize>,
    ) -> Result<bool, QueryError> {
        let fills = self.rules.fill_left.is_some() || self.rules.fill_right.is_some();
        if fills || self.binary.op.is_trim() {
            return Ok(false);
        }
        let (many, one) = self.members(sides, pairing);
        if many.is_empty() || one.is_empty() {
            // Without a counterpart there is nothing to do, but series may still be duplicates.
            return Ok(one.len() < 2);
        }
        let [one] = one else { return Ok(false) };
        let grouped = self.rules.cardinality != Cardinality::OneToOne;
        let histograms = sides.one.column(*one).has_histograms()
            || many.iter().any(|i| sides.many.column(*i).has_histograms());
        if histograms || (many.len() > 1 && !grouped) {
            return Ok(false);
        }
        let one_labels = &sides.one.heads[*one].labels;
        let mut results = Vec::with_capacity(many.len());
        for &i in many {
            results.push(self.labels(&sides.many.heads[i], one_labels)?);
        }
        if many.len() > 1 && !are_unique(&results) {
            return Ok(false);
        }
        output.reserve(many.len())?;
        let one = sides.one.column(*one).cells;
        for (&i, labels) in many.iter().zip(results) {
            let row = output.push_absent(self.head(labels));
            places.push(i);
            let many = sides.many.column(i).cells;
            let (lhs, rhs) = if sides.swapped { (one, many) } else { (many, one) };
            let Binary { op, return_bool, .. } = *self.binary;
            one_to_one::apply(op, return_bool, lhs, rhs, output.cells_mut(row));
        }
        Ok(true)
    }

    fn head(&self, labels: Labels) -> Head {
        Head { labels, drop_name: self.binary.return_bool }
    }

    /// Evaluates a pairing step by step.
    fn pair(
        &self,
        sides: &Sides<'_>,
        pairing: usize,
        output: &mut Frame,
        places: &mut Vec<usize>,
        findings: &mut Findings,
    ) -> Result<(), QueryError> {
        let (many, one) = self.members(sides, pairing);
        let (rows, labels, last_steps) = (HashMap::new(), HashMap::new(), Vec::new());
        let mut results = Results { output, places, rows, labels, last_steps };
        for step in 0..sides.many.steps() {
            self.query.interrupt.check()?;
            let present = |frame: &Frame, i: usize| !is_absent(frame.column(i).cells[step]);
            let mut ones = one.iter().copied().filter(|i| present(sides.one, *i));
            let single = ones.next();
            if let (Some(first), Some(second)) = (single, ones.next()) {
                if self.is_evaluated(sides, step) {
                    findings.fault((step, 0, second), Fault::Duplicate(first, second));
                }
                continue;
            }
            let mut matched = 0;
            for &i in many.iter().filter(|i| present(sides.many, **i)) {
                // Not swapped with the sides: so it is in Prometheus.
                if single.is_none() && self.rules.fill_right.is_none() {
                    continue;
                }
                let pair = (Some(i), single);
                if self.result(sides, pair, step, matched, &mut results, findings)? {
                    matched += 1;
                }
            }
            if matched == 0 && single.is_some() && self.rules.fill_left.is_some() {
                self.result(sides, (None, single), step, 0, &mut results, findings)?;
            }
        }
        Ok(())
    }

    /// Prometheus does not look at the series at all if a side is empty and nothing is filled in.
    fn is_evaluated(&self, sides: &Sides<'_>, step: usize) -> bool {
        self.rules.fill_left.is_some()
            || self.rules.fill_right.is_some()
            || (0..sides.many.len()).any(|i| !is_absent(sides.many.column(i).cells[step]))
    }

    /// Combines two samples, one of which may be a fill value; false if that is impossible.
    fn result(
        &self,
        sides: &Sides<'_>,
        pair: (Option<usize>, Option<usize>),
        step: usize,
        matched: usize,
        results: &mut Results<'_>,
        findings: &mut Findings,
    ) -> Result<bool, QueryError> {
        let many = sample(sides.many, pair.0, step, self.rules.fill_left);
        let one = sample(sides.one, pair.1, step, self.rules.fill_right);
        let (lhs, rhs) = if sides.swapped { (one, many) } else { (many, one) };
        let place = pair.0.unwrap_or_else(|| sides.many.len() + pair.1.unwrap_or(0));
        let mut notes = Annotations::default();
        let combined = combine(self.binary.op, lhs, rhs, self.span, &mut notes);
        if !notes.is_empty() {
            findings.remark(step, place, notes);
        }
        if matches!(combined, Combined::Impossible) {
            return Ok(false);
        }
        let (row, labels) = self.row(sides, pair, place, results)?;
        if self.rules.cardinality == Cardinality::OneToOne {
            if matched > 0 {
                findings.fault((step, 1, place), Fault::Ambiguous);
            }
        } else if results.last_steps[labels].replace(step) == Some(step) {
            findings.fault((step, 1, place), Fault::SameLabels);
        }
        if findings.fault.is_none() {
            self.set(results.output, row, step, combined);
        }
        Ok(true)
    }

    fn set(&self, output: &mut Frame, row: usize, step: usize, combined: Combined) {
        match combined {
            Combined::Impossible => {}
            Combined::Float { keep, .. } | Combined::Histogram { keep, .. }
                if self.binary.return_bool =>
            {
                output.cells_mut(row)[step] = f64::from(u8::from(keep));
            }
            Combined::Float { keep: false, .. } | Combined::Histogram { keep: false, .. } => {}
            Combined::Float { value, .. } => output.cells_mut(row)[step] = float_cell(value),
            Combined::Histogram { value, .. } => output.set_histogram(row, step, value.into()),
        }
    }

    /// The row of a pair of series, and the number of its labels within the pairing.
    fn row(
        &self,
        sides: &Sides<'_>,
        pair: (Option<usize>, Option<usize>),
        place: usize,
        results: &mut Results<'_>,
    ) -> Result<(usize, usize), QueryError> {
        if let Some(row) = results.rows.get(&pair) {
            return Ok(*row);
        }
        let many = pair.0.map(|i| &sides.many.heads[i]);
        let one = pair.1.map(|i| &sides.one.heads[i]);
        // A fill value has the labels that are matched by.
        let fill = |head: &Head| Head::new(matched_labels(&head.labels, self.rules));
        let (many, one) = match (many, one) {
            (Some(many), Some(one)) => (many.clone(), one.labels.clone()),
            (Some(many), None) => (many.clone(), fill(many).labels),
            (None, Some(one)) => (fill(one), one.labels.clone()),
            (None, None) => return Err(QueryError::execution("nothing to be matched")),
        };
        results.output.reserve(1)?;
        let labels = self.labels(&many, &one)?;
        let next = results.last_steps.len();
        let number = *results.labels.entry(labels.clone()).or_insert(next);
        if number == next {
            results.last_steps.push(None);
        }
        let row = (results.output.push_absent(self.head(labels)), number);
        results.places.push(place);
        results.rows.insert(pair, row);
        Ok(row)
    }

    /// The labels of a result.
    fn labels(&self, many: &Head, one: &Labels) -> Result<Labels, QueryError> {
        let rules = self.rules;
        let bool_drops = self.binary.return_bool && !self.query.options.delayed_name_removal;
        let drop_metadata = bool_drops || self.binary.op.changes_metric();
        let one_to_one = rules.cardinality == Cardinality::OneToOne;
        let named = |name: &str| rules.labels.iter().any(|label| label == name);
        let keep = |name: &str| {
            if drop_metadata && is_metadata(name) {
                if name != METRIC_NAME {
                    // Type and unit are matched by, but get lost.
                    self.ambiguous.set(true);
                }
                return false;
            }
            !one_to_one || named(name) == rules.on
        };
        let labels = if many.labels.iter().all(|(name, _)| keep(name)) {
            many.labels.clone()
        } else {
            many.labels.retain(keep)
        };
        if rules.include.is_empty() {
            return Ok(labels);
        }
        let mut builder = labels.to_builder();
        for name in &rules.include {
            builder.set(name, one.get(name).unwrap_or(""));
        }
        builder.build().map_err(|error| QueryError::execution(error.to_string()))
    }

    fn error(&self, sides: &Sides<'_>, fault: Fault) -> QueryError {
        let text = match fault {
            Fault::Ambiguous => {
                "multiple matches for labels: many-to-one matching must be explicit \
                                 (group_left/group_right)"
                    .to_owned()
            }
            Fault::SameLabels => "multiple matches for labels: grouping labels must ensure unique \
                                  matches"
                .to_owned(),
            Fault::Duplicate(first, second) => {
                let labels = |i: usize| &sides.one.heads[i].labels;
                let group = matched_labels(labels(second), self.rules);
                let side = if sides.swapped { "left" } else { "right" };
                let mut series = [labels(first).to_string(), labels(second).to_string()];
                series.sort();
                let [a, b] = series;
                format!(
                    "found duplicate series for the match group {group} on the {side} hand-side of \
                     the operation: [{a}, {b}];many-to-many matching not allowed: matching labels \
                     must be unique on one side"
                )
            }
        };
        QueryError::Execution(text)
    }
}

/// A series' sample, or the fill value.
fn sample(frame: &Frame, i: Option<usize>, step: usize, fill: Option<f64>) -> Cell<'_> {
    match i {
        Some(i) => frame.column(i).get(step),
        None => fill.map_or(Cell::Absent, Cell::Float),
    }
}

fn are_unique(labels: &[Labels]) -> bool {
    let mut seen = HashSet::with_capacity(labels.len());
    labels.iter().all(|labels| seen.insert(labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_matched_only_if_named() {
        let labels = Labels::from_pairs([(METRIC_NAME, "x"), ("a", "1")]).unwrap();
        let mut rules = VectorMatching {
            cardinality: Cardinality::OneToOne,
            labels: Vec::new(),
            on: false,
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        };
        assert_eq!(matched_labels(&labels, &rules).get(METRIC_NAME), None);
        rules.on = true;
        rules.labels.push(METRIC_NAME.to_owned());
        assert_eq!(matched_labels(&labels, &rules).get(METRIC_NAME), Some("x"));
    }
}

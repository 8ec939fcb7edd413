//! The store as one caller may see it: its tenants, and what the policy's matchers leave.
//!
//! Invariant: everything that reads samples, labels or names for a caller goes through here, and
//! every selection carries the caller's own matchers.

use std::collections::{HashMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use metricstor_model::{
    Labels, METRIC_NAME, MatchOp, Matcher, Need, Room, Samples, SelectError, SeriesSet,
    StoredExemplar, TENANT_LABEL, TimeRange,
};
use metricstor_promql::{Hints, Source};
use metricstor_storage::{Cardinality, Description, Statistics, Store, WriteError};

use crate::app::App;
use crate::caller::Caller;

/// See the module.
pub struct View {
    store: Arc<Store>,
    /// What every selection has to satisfy besides its own matchers.
    within: Vec<Matcher>,
    /// With one tenant its label is left off; with several it tells them apart.
    hides_tenant: bool,
}

impl View {
    pub fn of(app: &App, caller: &Caller) -> Self {
        let store = Arc::clone(&app.unscoped_store);
        let mut within = vec![of_tenants(caller.tenants())];
        within.extend(caller.grant().into_iter().flat_map(|grant| grant.only()).cloned());
        Self { store, within, hides_tenant: caller.tenants().len() == 1 }
    }

    /// The series that satisfy all matchers.
    pub fn select(&self, matchers: &[Matcher]) -> Result<Arc<dyn SeriesSet>, SelectError> {
        let selection = self.store.select(&self.narrowed(matchers))?;
        // Series of the common tenant have no such label.
        let common = self.within[0].value.is_empty();
        if self.hides_tenant && !common {
            return Ok(Arc::new(Untenanted(selection)));
        }
        Ok(selection)
    }

    /// As [`Store::at_most`].
    pub fn at_most(&self, matchers: &[Matcher]) -> usize {
        self.store.at_most(&self.narrowed(matchers))
    }

    /// As [`Store::values_at_most`].
    pub fn values_at_most(&self, label: &str) -> usize {
        self.store.values_at_most(label)
    }

    /// As [`Store::series`].
    pub fn series(
        &self,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<(Vec<Labels>, bool), SelectError> {
        let (mut series, cut) = self.store.series(&self.all_narrowed(sets), range, limit)?;
        if self.hides_tenant {
            for labels in &mut series {
                if labels.get(TENANT_LABEL).is_some() {
                    *labels = labels.retain(|name| name != TENANT_LABEL);
                }
            }
        }
        Ok((series, cut))
    }

    /// As [`Store::label_names`].
    pub fn label_names(
        &self,
        sets: &[Vec<Matcher>],
        range: TimeRange,
    ) -> Result<Vec<String>, SelectError> {
        if self.knows_nothing_of(range) {
            return Ok(Vec::new());
        }
        let mut names = self.store.label_names(&self.all_narrowed(sets), range)?;
        names.retain(|name| !self.hides_tenant || name != TENANT_LABEL);
        Ok(names)
    }

    /// As [`Store::label_values`].
    pub fn label_values(
        &self,
        name: &str,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        if self.knows_nothing_of(range) || self.hides_tenant && name == TENANT_LABEL {
            return Ok(Vec::new());
        }
        self.store.label_values(name, &self.all_narrowed(sets), range, limit)
    }

    /// As [`Store::exemplars`].
    pub fn exemplars(
        &self,
        sets: &[Vec<Matcher>],
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<(Labels, Vec<StoredExemplar>)>, SelectError> {
        let mut found = self.store.exemplars(&self.all_narrowed(sets), range, limit)?;
        if self.hides_tenant {
            for (labels, _) in &mut found {
                *labels = labels.retain(|name| name != TENANT_LABEL);
            }
        }
        Ok(found)
    }

    /// As [`Store::delete`], of what can be seen.
    pub fn delete(&self, sets: &[Vec<Matcher>], range: TimeRange) -> Result<u64, WriteError> {
        self.store.delete(&self.all_narrowed(sets), range)
    }

    /// What senders said about the metrics that can be seen, by name.
    pub fn metadata(
        &self,
        metric: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Description)>, SelectError> {
        if self.is_whole() {
            return Ok(self.store.metadata().get(metric, limit));
        }
        // Only what senders of the common tenant say is kept.
        if !self.within[0].matches_empty() {
            return Ok(Vec::new());
        }
        let seen = self.label_values(METRIC_NAME, &[], TimeRange::ALL, usize::MAX)?;
        let seen: HashSet<&str> = seen.iter().map(String::as_str).collect();
        let mut all = self.store.metadata().get(metric, usize::MAX);
        // Descriptions are kept for metrics, while a histogram's series have names of their own.
        let suffixes = ["", "_bucket", "_count", "_sum", "_total"];
        all.retain(|(name, _)| suffixes.iter().any(|s| seen.contains(&*format!("{name}{s}"))));
        all.truncate(limit);
        Ok(all)
    }

    /// Figures of the whole store, or of what can be seen as far as that is known.
    pub fn statistics(&self) -> Result<Statistics, SelectError> {
        if self.is_whole() {
            return Ok(self.store.statistics());
        }
        Ok(Statistics { series: self.select(&[])?.len(), ..Statistics::default() })
    }

    /// As [`Store::cardinality`], of what can be seen.
    pub fn cardinality(&self) -> Result<Cardinality, SelectError> {
        if self.is_whole() {
            return Ok(self.store.cardinality());
        }
        let mut sum = Cardinality::default();
        let series = self.select(&[])?;
        let mut values: HashMap<String, HashSet<String>> = HashMap::new();
        for i in 0..series.len() {
            for (name, value) in series.labels(i).iter() {
                if name == METRIC_NAME {
                    *sum.series_by_metric.entry(value.to_owned()).or_default() += 1;
                }
                *sum.series_by_pair.entry(format!("{name}={value}")).or_default() += 1;
                values.entry(name.to_owned()).or_default().insert(value.to_owned());
            }
        }
        for (name, values) in values {
            sum.values_by_name.insert(name.clone(), values.len() as u64);
            let bytes = values.iter().map(|value| value.len() as u64).sum();
            sum.bytes_by_name.insert(name, bytes);
        }
        Ok(sum)
    }

    /// Is there nothing that this view leaves out?
    pub fn is_whole(&self) -> bool {
        self.within.len() == 1
            && self.within[0].matches_empty()
            && !self.store.has_label(TENANT_LABEL)
    }

    /// Is nothing stored of this time? Without selectors, names and values are not asked one by one
    /// whether they have samples in it.
    fn knows_nothing_of(&self, range: TimeRange) -> bool {
        range != TimeRange::ALL && !self.store.range().is_some_and(|stored| stored.overlaps(range))
    }

    fn narrowed(&self, matchers: &[Matcher]) -> Vec<Matcher> {
        [&self.within, matchers].concat()
    }

    fn all_narrowed(&self, sets: &[Vec<Matcher>]) -> Vec<Vec<Matcher>> {
        if sets.is_empty() {
            return vec![self.within.clone()];
        }
        sets.iter().map(|matchers| self.narrowed(matchers)).collect()
    }
}

impl Source for View {
    fn select(
        &self,
        matchers: &[Matcher],
        _range: TimeRange,
        _hints: &Hints,
    ) -> Result<Arc<dyn SeriesSet>, SelectError> {
        View::select(self, matchers)
    }
}

/// The series of these tenants. Names of tenants hold no signs of regular expressions but the dot.
fn of_tenants(tenants: &[String]) -> Matcher {
    match tenants {
        [one] => Matcher::equal(TENANT_LABEL, one),
        several => {
            let pattern = several.join("|").replace('.', r"\.");
            Matcher::new(MatchOp::Regex, TENANT_LABEL, &pattern).expect("names need no escapes")
        }
    }
}

/// Series of one tenant without its label.
struct Untenanted(Arc<dyn SeriesSet>);

impl SeriesSet for Untenanted {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.0.labels(i).retain(|name| name != TENANT_LABEL)
    }

    fn labels_of(&self, series: &[usize], out: &mut Vec<Labels>) {
        let known = out.len();
        self.0.labels_of(series, out);
        let more = out[known..].iter_mut();
        more.for_each(|labels| *labels = labels.retain(|name| name != TENANT_LABEL));
    }

    fn visit_labels(
        &self,
        series: &[usize],
        named: Option<&[String]>,
        visit: &mut dyn FnMut(usize, &str, &str),
    ) {
        self.0.visit_labels(series, named, &mut |place, name, value| {
            if name != TENANT_LABEL {
                visit(place, name, value);
            }
        });
    }

    fn have_label(&self, name: &str) -> bool {
        self.0.have_label(name)
    }

    fn read(&self, i: usize, range: TimeRange, out: &mut Samples) -> Result<(), SelectError> {
        self.0.read(i, range, out)
    }

    fn read_each(
        &self,
        series: Range<usize>,
        range: TimeRange,
        need: Need,
        room: Room<'_>,
        out: &mut Samples,
        visit: &mut dyn FnMut(usize, &mut Samples) -> ControlFlow<()>,
    ) -> Result<(), SelectError> {
        self.0.read_each(series, range, need, room, out, visit)
    }
}

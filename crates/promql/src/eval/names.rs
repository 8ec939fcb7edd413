//! The labels that the series of a run get, once it is known which of them have samples: those of many
//! are looked up together.

use std::sync::Arc;

use crate::QueryError;
use crate::eval::aggregate::grouping::{Grouping, Groups, Keys};
use crate::eval::budget::{Budget, Claim};
use crate::eval::pipeline::{Pipeline, Run};
use crate::eval::relabel::{Dropped, has_kind};

/// Series whose labels are made before their size is claimed.
const AT_ONCE: usize = 64;

/// Which labels the series of a run get.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Names<'a> {
    /// None, for nobody looks at them.
    None,
    /// Those of the series' group: no other is ever made.
    OfGroup(&'a Grouping),
    All,
}

/// What a thread needs for it, reused from run to run.
pub(crate) struct Naming {
    /// The numbers of the series that the run's frame has.
    pub rows: Vec<usize>,
    keys: Keys,
    /// The groups that this thread has met.
    groups: Option<Groups>,
    claim: Claim,
}

impl Naming {
    pub fn new(budget: &Arc<Budget>) -> Self {
        let claim = budget.claim();
        Self { rows: Vec::new(), keys: Keys::default(), groups: None, claim }
    }

    /// Names the series of a run.
    pub fn name(
        &mut self,
        pipeline: &Pipeline<'_>,
        names: Names<'_>,
        run: &mut Run,
    ) -> Result<(), QueryError> {
        match names {
            Names::None => Ok(()),
            Names::OfGroup(grouping) => self.name_by_group(pipeline, grouping, run),
            Names::All => self.name_each(pipeline, run),
        }
    }

    fn name_each(&self, pipeline: &Pipeline<'_>, run: &mut Run) -> Result<(), QueryError> {
        let dropped = pipeline.drops_now();
        let mut all = Vec::with_capacity(AT_ONCE.min(self.rows.len()));
        let mut named = 0;
        for some in self.rows.chunks(AT_ONCE) {
            pipeline.series().labels_of(some, &mut all);
            let mut size = 0;
            for labels in all.drain(..) {
                run.ambiguous |= dropped == Dropped::Metadata && has_kind(&labels);
                let labels = dropped.from(&labels);
                size += labels.size();
                run.frame.heads[named].labels = labels;
                named += 1;
            }
            run.frame.charge(size)?;
        }
        Ok(())
    }

    /// Labels that a function drops do not count.
    fn name_by_group(
        &mut self,
        pipeline: &Pipeline<'_>,
        grouping: &Grouping,
        run: &mut Run,
    ) -> Result<(), QueryError> {
        let Self { rows, keys, groups, claim } = self;
        let groups = groups.get_or_insert_with(|| Groups::new(grouping.clone()));
        let dropped = pipeline.drops_now();
        keys.clear();
        pipeline.series().visit_labels(rows, grouping.named(), &mut |place, name, value| {
            if !dropped.holds(name) {
                keys.push(place, grouping, name, value);
            }
        });
        keys.end(rows.len());
        for (place, (i, head)) in rows.iter().zip(&mut run.frame.heads).enumerate() {
            let known = groups.len();
            let labels = || dropped.from(&pipeline.series().labels(*i));
            let group = groups.keyed(keys.get(place), labels);
            if group == known {
                claim.grow(groups.size_of(group))?;
            }
            head.labels = groups.labels()[group].clone();
        }
        Ok(())
    }
}

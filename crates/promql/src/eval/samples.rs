//! Counting samples: for the statistics of a query and for its limit on them.

/// Samples looked at and samples read, in all and by step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    pub total: u64,
    pub read: u64,
    /// By step; empty unless asked for.
    pub total_by_step: Vec<u64>,
    pub read_by_step: Vec<u64>,
}

impl Reads {
    /// `steps` is 0 when nobody wants to know the numbers by step.
    pub fn new(steps: usize) -> Self {
        let by_step = vec![0; steps];
        Self { total: 0, read: 0, total_by_step: by_step.clone(), read_by_step: by_step }
    }

    pub fn is_by_step(&self) -> bool {
        !self.total_by_step.is_empty()
    }

    #[inline]
    pub fn add(&mut self, step: usize, total: usize, read: usize) {
        self.total += total as u64;
        self.read += read as u64;
        if let Some(count) = self.total_by_step.get_mut(step) {
            *count += total as u64;
        }
        if let Some(count) = self.read_by_step.get_mut(step) {
            *count += read as u64;
        }
    }

    /// Adds what was counted on the same steps.
    pub fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.read += other.read;
        let sum = |all: &mut [u64], more: &[u64]| {
            all.iter_mut().zip(more).for_each(|(all, more)| *all += more);
        };
        sum(&mut self.total_by_step, &other.total_by_step);
        sum(&mut self.read_by_step, &other.read_by_step);
    }
}

/// The samples held by a query's intermediate results.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    pub now: usize,
    pub peak: usize,
}

impl Held {
    /// So many more are held.
    pub fn add(&mut self, samples: usize) {
        self.now += samples;
        self.peak = self.peak.max(self.now);
    }
}

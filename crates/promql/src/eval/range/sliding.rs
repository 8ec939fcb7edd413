//! A fold over a window that moves forward, at the cost of its samples rather than its windows.
//!
//! Invariant: nothing is ever subtracted (which would not undo an addition of floats). The window is
//! cut in two: of its older part every suffix is folded beforehand, its newer part is folded as it
//! grows; when the older part is used up, the newer one takes its place.

/// Something that can be folded in parts.
pub(super) trait Fold {
    /// What a sample is to it.
    type Sample;
    type State: Copy;

    fn of(&self, sample: Self::Sample) -> Self::State;
    /// Puts the samples of `later` after those of `state`.
    fn join(&self, state: Self::State, later: Self::State) -> Self::State;
}

#[derive(Debug)]
pub(super) struct Sliding<F: Fold> {
    fold: F,
    /// The folds of `base..middle`, `base + 1..middle`, ….
    suffixes: Vec<F::State>,
    base: usize,
    middle: usize,
    /// The fold of `middle..end`.
    newer: Option<F::State>,
    end: usize,
}

impl<F: Fold> Sliding<F> {
    pub fn new(fold: F) -> Self {
        Self { fold, suffixes: Vec::new(), base: 0, middle: 0, newer: None, end: 0 }
    }

    /// Bytes of memory that a sample of a window takes.
    pub fn sample_size(&self) -> usize {
        size_of::<F::State>()
    }

    /// Forgets everything, for another series.
    pub fn reset(&mut self) {
        (self.base, self.middle, self.end) = (0, 0, 0);
        self.newer = None;
    }

    /// The fold of a window of `count` samples, of which `first` is the place of the first one in the
    /// series and `sample` gives the others by their place in the window; windows are not empty and
    /// never move back.
    pub fn fold(
        &mut self,
        first: usize,
        count: usize,
        sample: impl Fn(usize) -> F::Sample,
    ) -> F::State {
        let end = first + count;
        if first >= self.middle {
            self.rebuild(first, count, sample);
        } else {
            for place in self.end - first..count {
                let one = self.fold.of(sample(place));
                self.newer = Some(self.newer.map_or(one, |state| self.fold.join(state, one)));
            }
        }
        self.end = end;
        let older = self.suffixes[first - self.base];
        self.newer.map_or(older, |newer| self.fold.join(older, newer))
    }

    fn rebuild(&mut self, first: usize, count: usize, sample: impl Fn(usize) -> F::Sample) {
        self.suffixes.clear();
        let mut suffix: Option<F::State> = None;
        for place in (0..count).rev() {
            let one = self.fold.of(sample(place));
            let state = suffix.map_or(one, |later| self.fold.join(one, later));
            self.suffixes.push(state);
            suffix = Some(state);
        }
        self.suffixes.reverse();
        (self.base, self.middle) = (first, first + count);
        self.newer = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Last;

    impl Fold for Last {
        type Sample = f64;
        type State = (f64, f64, usize);

        fn of(&self, value: f64) -> Self::State {
            (value, value, 1)
        }

        fn join(&self, state: Self::State, later: Self::State) -> Self::State {
            (state.0, later.1, state.2 + later.2)
        }
    }

    proptest! {
        #[test]
        fn every_window_is_folded_in_order(moves in prop::collection::vec((0usize..4, 0usize..4), 1..60)) {
            let values: Vec<f64> = (0..400).map(f64::from).collect();
            let mut sliding = Sliding::new(Last);
            let (mut from, mut to) = (0usize, 1usize);
            for (forward, grow) in moves {
                to += grow;
                from = (from + forward).min(to - 1);
                let window = &values[from..to];
                let expected = (window[0], window[window.len() - 1], window.len());
                let found = sliding.fold(from, window.len(), |place| window[place]);
                prop_assert_eq!(found, expected);
            }
        }
    }
}

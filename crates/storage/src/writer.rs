//! For whom a request is stored: the labels that every series of theirs gets, and their own limits.
//!
//! Invariants: a stamped label replaces what the request says; nothing but a stamp sets the tenant;
//! series recognised for one writer are never taken for those of a writer with other stamps.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use metricstor_model::{LabelsFault, TENANT_LABEL};
use xxhash_rust::xxh3::Xxh3;

use crate::config::LabelLimits;
use crate::known::Place;

/// A series counts as active for one to two of these after its last sample; milliseconds.
const GENERATION_MS: i64 = 30 * 60_000;

/// One sender, or all senders of the same stamps and limits. The default adds and limits nothing.
#[derive(Debug, Default)]
pub struct Writer {
    stamps: BTreeMap<String, String>,
    labels: Option<LabelLimits>,
    active_series: Option<ActiveSeries>,
    salt: (u64, u64),
}

#[derive(Debug)]
struct ActiveSeries {
    max: usize,
    generations: Mutex<Generations>,
}

/// Which series had samples lately: in this generation, or else in the one before.
#[derive(Debug, Default)]
struct Generations {
    began: i64,
    current: HashSet<Place>,
    previous: HashSet<Place>,
}

/// The active series of a writer during one request.
pub(crate) struct Active<'a> {
    max: usize,
    generations: MutexGuard<'a, Generations>,
}

impl Writer {
    /// Stamps `labels` on every series; the limits take the place of the store's.
    pub fn new(
        stamps: BTreeMap<String, String>,
        labels: Option<LabelLimits>,
        active_series_max: Option<usize>,
    ) -> Self {
        let mut hash = Xxh3::new();
        for text in stamps.iter().flat_map(|(name, value)| [name, value]) {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        if let Some(limits) = labels {
            let LabelLimits { count_max, name_size_max, value_size_max } = limits;
            for limit in [count_max, name_size_max, value_size_max] {
                hash.update(&(limit as u64).to_le_bytes());
            }
        }
        let plain = stamps.is_empty() && labels.is_none();
        let salt = if plain { 0 } else { hash.digest128() };
        let active_series =
            active_series_max.map(|max| ActiveSeries { max, generations: Mutex::default() });
        Self { stamps, labels, active_series, salt: (salt as u64, (salt >> 64) as u64) }
    }

    /// Whose samples these are; empty is the common tenant.
    pub(crate) fn tenant(&self) -> &str {
        self.stamps.get(TENANT_LABEL).map_or("", String::as_str)
    }

    /// Keeps the writer's series apart from the same bytes of others.
    #[inline]
    pub(crate) fn salt(&self) -> (u64, u64) {
        self.salt
    }

    pub(crate) fn label_limits(&self) -> Option<LabelLimits> {
        self.labels
    }

    pub(crate) fn active_series_max(&self) -> Option<usize> {
        self.active_series.as_ref().map(|active| active.max)
    }

    /// Puts the stamps among canonical pairs.
    pub(crate) fn stamp<'a>(
        &'a self,
        pairs: &mut Vec<(&'a str, &'a str)>,
    ) -> Result<(), LabelsFault> {
        let position = |pairs: &[(&str, &str)], name: &str| {
            pairs.binary_search_by(|(other, _)| (*other).cmp(name))
        };
        for (name, value) in &self.stamps {
            match position(pairs, name) {
                Ok(at) => pairs[at].1 = value,
                Err(at) => pairs.insert(at, (name, value)),
            }
        }
        if self.tenant().is_empty() && position(pairs, TENANT_LABEL).is_ok() {
            return Err(LabelsFault::Reserved(TENANT_LABEL));
        }
        Ok(())
    }

    /// The active series, for one request; `None` without a limit.
    pub(crate) fn active(&self, now: i64) -> Option<Active<'_>> {
        let ActiveSeries { max, generations } = self.active_series.as_ref()?;
        let mut generations = generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.turn(now);
        Some(Active { max: *max, generations })
    }
}

impl Generations {
    fn turn(&mut self, now: i64) {
        let age = now.saturating_sub(self.began);
        // A clock that went back begins anew rather than never.
        if (0..GENERATION_MS).contains(&age) {
            return;
        }
        self.previous = std::mem::take(&mut self.current);
        if age >= 2 * GENERATION_MS {
            self.previous = HashSet::new();
        }
        self.began = now;
    }
}

impl Active<'_> {
    /// May the series have samples now? If so it is active.
    pub fn admit(&mut self, place: Place) -> bool {
        let room = self.has_room();
        let Generations { current, previous, .. } = &mut *self.generations;
        if current.contains(&place) {
            return true;
        }
        let admitted = previous.remove(&place) || room;
        if admitted {
            current.insert(place);
        }
        admitted
    }

    /// Is there room for a series that is not active yet?
    pub fn has_room(&self) -> bool {
        let Generations { current, previous, .. } = &*self.generations;
        current.len() + previous.len() < self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(stamps: &[(&str, &str)]) -> Writer {
        let stamps = stamps.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Writer::new(stamps.collect(), None, None)
    }

    #[test]
    fn stamps_replace_and_are_put_in_their_places() {
        let writer = writer(&[("instance", "web-1"), ("zone", "a"), ("aa", "b")]);
        let mut pairs = vec![("__name__", "up"), ("instance", "forged"), ("job", "x")];
        writer.stamp(&mut pairs).unwrap();
        let expected =
            [("__name__", "up"), ("aa", "b"), ("instance", "web-1"), ("job", "x"), ("zone", "a")];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn the_tenant_is_set_by_a_stamp_or_not_at_all() {
        let forged = || vec![("__name__", "up"), (TENANT_LABEL, "bank")];
        let mut pairs = forged();
        let plain = writer(&[("a", "b")]);
        let fault = plain.stamp(&mut pairs).unwrap_err();
        assert_eq!(fault, LabelsFault::Reserved(TENANT_LABEL));
        let mut pairs = forged();
        let shop = writer(&[(TENANT_LABEL, "shop")]);
        shop.stamp(&mut pairs).unwrap();
        assert_eq!(pairs[1], (TENANT_LABEL, "shop"));
    }

    #[test]
    fn writers_that_stamp_differently_have_different_salts() {
        let none = writer(&[]).salt();
        assert_eq!(none, (0, 0), "who stamps nothing pays nothing");
        let (a, b) = (writer(&[("a", "bc")]).salt(), writer(&[("ab", "c")]).salt());
        assert!(a != none && b != none && a != b);
        let limits = LabelLimits { count_max: 1, name_size_max: 1, value_size_max: 1 };
        assert_ne!(Writer::new(BTreeMap::new(), Some(limits), None).salt(), none);
    }

    #[test]
    fn active_series_are_bounded_and_forgotten_after_a_while() {
        let writer = Writer::new(BTreeMap::new(), None, Some(2));
        let place = |series| Place { shard: 0, series };
        let admit = |series, now| writer.active(now).unwrap().admit(place(series));
        assert!(admit(1, 0) && admit(2, 0) && admit(1, 0));
        assert!(!admit(3, 0));
        assert!(admit(1, GENERATION_MS), "still active");
        assert!(!admit(3, GENERATION_MS));
        assert!(admit(3, 2 * GENERATION_MS), "series 2 is forgotten");
        assert!(!admit(2, 2 * GENERATION_MS));
    }
}

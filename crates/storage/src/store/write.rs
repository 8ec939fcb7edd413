//! The walk of a written request: recognise, define, assemble, hand to the commit thread.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use metricstor_model::{LabelsFault, SeriesId, WriteRequest};

use super::assembly::{Assembly, describe};
use super::{Inner, Store};
use crate::committer::{Commit, Done};
use crate::known::{Key, Place};
use crate::outcome::RefusalReason;

/// Slots are the unit that shards are made of: the top twelve bits of a series id.
const SLOTS: u32 = 4096;

/// The only tenant so far; part of every series id.
pub(crate) const TENANT: &str = "";

/// A series whose bytes were not recognised, and the key to remember it by.
struct Stranger {
    position: usize,
    key: Key,
}

impl Store {
    /// Stores a request. `done` is called once: after the samples are durable and
    /// visible, or when nothing was stored.
    pub fn write(&self, request: &WriteRequest<'_>, done: Done) {
        self.inner.write(request, done);
    }
}

impl Inner {
    fn write(&self, request: &WriteRequest<'_>, done: Done) {
        self.metadata.note(&request.metadata);
        let now = (self.clock)();
        let oldest = now.saturating_sub(self.config.retention_ms);
        let newest = now.saturating_add(self.config.future_max_ms);
        let mut assembly = Assembly::new(request, &self.shards, oldest..=newest);
        let strangers = self.recognise(request, &mut assembly);
        if !strangers.is_empty() {
            self.introduce(request, strangers, &mut assembly);
        }
        let (parts, outcome) = assembly.finish();
        self.metrics.refused(&outcome);
        if parts.is_empty() {
            done(Ok(outcome));
        } else {
            self.committer.submit(Commit { parts, outcome, done });
        }
    }

    /// Adds all series whose bytes are known; returns the others.
    fn recognise(&self, request: &WriteRequest<'_>, assembly: &mut Assembly<'_>) -> Vec<Stranger> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut strangers = Vec::new();
        let mut guess = usize::MAX;
        for (position, series) in request.series.iter().enumerate() {
            let key = Key::of(series.labels.bytes);
            match known.find(key, &mut guess) {
                Some(place) => assembly.add(place, series),
                None => strangers.push(Stranger { position, key }),
            }
        }
        strangers
    }

    /// Decodes the labels of unknown series, finds or makes their references, remembers them.
    fn introduce<'r>(
        &self,
        request: &'r WriteRequest<'r>,
        strangers: Vec<Stranger>,
        assembly: &mut Assembly<'_>,
    ) {
        let mut pairs: Vec<(&'r str, &'r str)> = Vec::new();
        let mut places = Vec::with_capacity(strangers.len());
        for Stranger { position, key } in strangers {
            let series = &request.series[position];
            let checked = series.labels.canonical(&mut pairs).and_then(|()| self.check(&pairs));
            if let Err(fault) = checked {
                assembly.refuse_labels(&fault, series);
                continue;
            }
            let id = SeriesId::of_pairs(TENANT, pairs.iter().copied());
            let place = match self.place(id, &pairs) {
                Placed::Known(place) => {
                    assembly.add(place, series);
                    place
                }
                Placed::New(place) => {
                    assembly.add_new(place, &pairs, series);
                    place
                }
                Placed::NoRoom => {
                    let limit = self.config.series_max;
                    let reason = RefusalReason::TooManySeries;
                    assembly.refuse_series(reason, series, || {
                        format!("{} would exceed the limit of {limit} series", describe(series))
                    });
                    continue;
                }
            };
            places.push((key, place));
        }
        self.remember(&places);
    }

    fn check(&self, pairs: &[(&str, &str)]) -> Result<(), LabelsFault> {
        let limits = self.config.labels;
        if pairs.len() > limits.count_max {
            return Err(LabelsFault::TooMany { count: pairs.len(), limit: limits.count_max });
        }
        for (name, value) in pairs {
            let too_long =
                |limit| Err(LabelsFault::TooLong { name: name.chars().take(64).collect(), limit });
            if name.len() > limits.name_size_max {
                return too_long(limits.name_size_max);
            }
            if value.len() > limits.value_size_max {
                return too_long(limits.value_size_max);
            }
        }
        Ok(())
    }

    /// The place of a series, made if it has none.
    fn place(&self, id: SeriesId, pairs: &[(&str, &str)]) -> Placed {
        let shard = shard_of(id, self.shards.shards.len());
        let place = |series| Place { shard, series };
        let index = &self.shards.shards[usize::from(shard)];
        if let Some(series) = index.index().get(id) {
            return Placed::Known(place(series));
        }
        if self.series.load(Ordering::Relaxed) >= self.config.series_max {
            return Placed::NoRoom;
        }
        let mut index = index.index_mut();
        match index.get(id) {
            Some(series) => Placed::Known(place(series)),
            None => {
                self.series.fetch_add(1, Ordering::Relaxed);
                self.metrics.series_created.add(1);
                Placed::New(place(index.create(id, pairs.iter().copied())))
            }
        }
    }

    fn remember(&self, places: &[(Key, Place)]) {
        // Senders may write one series in several encodings; beyond this many, start over.
        let max = 2 * self.series.load(Ordering::Relaxed) + 1024;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (key, place) in places {
            known.insert(*key, *place, max);
        }
    }
}

enum Placed {
    Known(Place),
    New(Place),
    NoRoom,
}

/// The shard that owns a series id, for ever: slots are dealt out in equal ranges.
fn shard_of(id: SeriesId, shards: usize) -> u16 {
    let slot = (id.0 >> 116) as u32;
    (slot * shards as u32 / SLOTS) as u16
}

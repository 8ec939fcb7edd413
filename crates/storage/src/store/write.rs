//! The walk of a written request: recognise, define, assemble, hand to the commit thread.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use metricstor_model::{LabelsFault, PackedPair, SeriesId, WriteRequest, WriteSeries};

use super::assembly::{Assembly, describe};
use super::{Inner, Store};
use crate::committer::{Commit, Done, Part};
use crate::config::LabelLimits;
use crate::exclusive::Exclusive;
use crate::known::{Key, Place};
use crate::outcome::{RefusalReason, WriteError};
use crate::writer::{Active, Writer};

/// Slots are the unit that shards are made of: the top twelve bits of a series id.
const SLOTS: u32 = 4096;

/// What series ids say about the tenant: nothing, because a tenant is one of the labels.
pub(crate) const TENANT: &str = "";

/// A series whose bytes were not recognised, and the key to remember it by.
struct Stranger {
    position: usize,
    key: Key,
}

impl Store {
    /// Stores a request of a writer without stamps or limits of its own; see [`Self::write_as`].
    pub fn write(&self, request: &WriteRequest<'_>, done: Done) {
        self.write_as(&Writer::default(), request, done);
    }

    /// Stores a request. `done` is called once: after the samples are durable and
    /// visible, or when nothing was stored.
    pub fn write_as(&self, writer: &Writer, request: &WriteRequest<'_>, done: Done) {
        self.inner.write(writer, request, done);
    }
}

impl Inner {
    fn write(&self, writer: &Writer, request: &WriteRequest<'_>, done: Done) {
        if writer.tenant().is_empty() {
            self.metadata.note(&request.metadata);
        }
        if let Err(exceeded) = self.config.memory.check() {
            return self.shed(exceeded.into(), done);
        }
        let _references = self.references.read().unwrap_or_else(PoisonError::into_inner);
        if self.reserve.refuses_writes() {
            let wait =
                "the space kept aside (setting storage.reserve) is spent and not there again";
            return self.shed(WriteError::DiskFull(wait.to_owned()), done);
        }
        let now = (self.clock)();
        let oldest = now.saturating_sub(self.config.retention_ms);
        let newest = now.saturating_add(self.config.future_max_ms);
        let mut assembly = Assembly::new(request, &self.shards, oldest..=newest);
        assembly.refuse_empty(request.series_without_samples);
        let mut active = writer.active(now);
        let strangers = self.recognise(writer, request, &mut active, &mut assembly);
        if !strangers.is_empty() {
            self.introduce(writer, request, strangers, &mut active, &mut assembly);
        }
        drop(active);
        let (parts, outcome) = assembly.finish();
        self.metrics.refused(&outcome);
        self.metrics.exemplars_dropped.add(outcome.dropped_exemplars);
        if parts.is_empty() {
            return done(Ok(outcome));
        }
        // Encoded and not, until it is applied.
        let size = parts.iter().map(Part::memory).sum();
        match self.config.memory.take(size) {
            Ok(memory) => self.committer.submit(Commit { parts, outcome, done, memory }),
            Err(exceeded) => self.shed(exceeded.into(), done),
        }
    }

    /// Refuses a request for what passes.
    fn shed(&self, error: WriteError, done: Done) {
        self.metrics.writes_shed.add(1);
        done(Err(error));
    }

    /// Adds all series whose bytes are known; returns the others.
    fn recognise(
        &self,
        writer: &Writer,
        request: &WriteRequest<'_>,
        active: &mut Option<Active<'_>>,
        assembly: &mut Assembly<'_>,
    ) -> Vec<Stranger> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut strangers = Vec::new();
        let mut guess = usize::MAX;
        for (position, series) in request.series.iter().enumerate() {
            let key = Key::of(series.labels.bytes, &self.config.hash_secret).salted(writer.salt());
            match known.find(key, &mut guess) {
                Some(place) if admits(active, place) => assembly.add(place, series),
                Some(_) => refuse_for_sender(writer, series, assembly),
                None => strangers.push(Stranger { position, key }),
            }
        }
        strangers
    }

    /// Decodes the labels of unknown series, finds or makes their references, remembers them.
    fn introduce<'r>(
        &self,
        writer: &'r Writer,
        request: &'r WriteRequest<'r>,
        strangers: Vec<Stranger>,
        active: &mut Option<Active<'_>>,
        assembly: &mut Assembly<'_>,
    ) {
        let mut pairs: Vec<(&'r str, &'r str)> = Vec::new();
        let mut places = Vec::with_capacity(strangers.len());
        for Stranger { position, key } in strangers {
            let series = &request.series[position];
            let limits = writer.label_limits().unwrap_or(self.config.labels);
            let checked = series
                .labels
                .canonical(&mut pairs)
                .and_then(|()| writer.stamp(&mut pairs))
                .and_then(|()| check(limits, &pairs));
            if let Err(fault) = checked {
                assembly.refuse_labels(&fault, series);
                continue;
            }
            let id = SeriesId::of_pairs(TENANT, pairs.iter().copied());
            let found = self.find(id);
            if found.is_none() && !assembly.takes_any(series) {
                // Nothing would ever take it out of the index again but its having had samples.
                assembly.refuse_all(series);
                continue;
            }
            let admitted = match found {
                Some(place) => admits(active, place),
                None => active.as_ref().is_none_or(Active::has_room),
            };
            if !admitted {
                refuse_for_sender(writer, series, assembly);
                continue;
            }
            let place = match self.place(id, &pairs) {
                Placed::Known(place) if self.has_labels(place, &pairs) => {
                    assembly.add(place, series);
                    place
                }
                Placed::Known(_) => {
                    assembly.refuse_series(RefusalReason::IdCollision, series, || {
                        format!("{} has the id of another series", describe(series))
                    });
                    continue;
                }
                Placed::New(place) => {
                    assembly.add_new(place, &pairs, series);
                    place
                }
                Placed::NoRoom(limit) => {
                    let reason = RefusalReason::TooManySeries;
                    assembly.refuse_series(reason, series, || {
                        format!("{} would exceed {limit}", describe(series))
                    });
                    continue;
                }
            };
            // A series that was just made counts from now on.
            admits(active, place);
            places.push((key, place));
        }
        self.remember(&places);
    }

    fn find(&self, id: SeriesId) -> Option<Place> {
        let shard = shard_of(id, self.shards.shards.len());
        let series = self.shards.shards[usize::from(shard)].index().get(id)?;
        Some(Place { shard, series })
    }

    /// Ids are hashes that anybody can compute: two label sets made to collide must not share samples.
    fn has_labels(&self, place: Place, pairs: &[(&str, &str)]) -> bool {
        let index = self.shards.shards[usize::from(place.shard)].index();
        index.pairs(place.series).eq(pairs.iter().copied())
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
            let max = self.config.series_max;
            return Placed::NoRoom(format!("the limit of {max} series (storage.max_series)"));
        }
        if !self.has_room_for_series() {
            let limit = self.config.memory.limit();
            let limit = format!("the part of {limit} bytes for series (setting memory.limit)");
            return Placed::NoRoom(limit);
        }
        let mut index = index.index_mut();
        if index.next() == u32::MAX {
            return Placed::NoRoom("the references of a shard, each given out once".to_owned());
        }
        match index.get(id) {
            Some(series) => Placed::Known(place(series)),
            None => {
                self.series.fetch_add(1, Ordering::Relaxed);
                self.metrics.series_created.add(1);
                let before = index.labels_size();
                let series = index.create(id, pairs.iter().copied());
                self.index_growth.note(index.labels_size().saturating_sub(before));
                Placed::New(place(series))
            }
        }
    }

    fn remember(&self, places: &[(Key, Place)]) {
        // Senders may write one series in several encodings; beyond this many, start over.
        let max = 2 * self.series.load(Ordering::Relaxed) + 1024;
        let mut known = Exclusive::hold(&self.known, &self.metrics.pauses.known);
        for (key, place) in places {
            known.insert(*key, *place, max);
        }
    }
}

fn check(limits: LabelLimits, pairs: &[(&str, &str)]) -> Result<(), LabelsFault> {
    if pairs.len() > limits.count_max {
        return Err(LabelsFault::TooMany { count: pairs.len(), limit: limits.count_max });
    }
    for (name, value) in pairs {
        let too_long =
            |limit| Err(LabelsFault::TooLong { name: name.chars().take(64).collect(), limit });
        for (text, limit) in [(name, limits.name_size_max), (value, limits.value_size_max)] {
            // Whatever the setting says, nothing longer can be stored.
            let limit = limit.min(PackedPair::LENGTH_MAX);
            if text.len() > limit {
                return too_long(limit);
            }
        }
    }
    Ok(())
}

/// Counts the series among the sender's active ones; false if there is no room for it.
#[inline]
fn admits(active: &mut Option<Active<'_>>, place: Place) -> bool {
    active.as_mut().is_none_or(|active| active.admit(place))
}

#[cold]
fn refuse_for_sender(writer: &Writer, series: &WriteSeries<'_>, assembly: &mut Assembly<'_>) {
    assembly.refuse_series(RefusalReason::SenderSeriesLimit, series, || {
        let (series, limit) = (describe(series), writer.active_series_max().unwrap_or(0));
        format!("{series} would exceed this sender's limit of {limit} active series")
    });
}

enum Placed {
    Known(Place),
    New(Place),
    /// The limit that is reached.
    NoRoom(String),
}

/// The shard that owns a series id, for ever: slots are dealt out in equal ranges.
fn shard_of(id: SeriesId, shards: usize) -> u16 {
    let slot = (id.0 >> 116) as u32;
    (slot * shards as u32 / SLOTS) as u16
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use metricstor_model::EncodedLabels;

    use super::*;
    use crate::config::StoreConfig;
    use crate::files::Disk;
    use crate::outcome::WriteOutcome;

    fn decode<'a>(bytes: &'a [u8], pairs: &mut Vec<(&'a str, &'a str)>) -> Result<(), LabelsFault> {
        pairs.push(("__name__", std::str::from_utf8(bytes).expect("a test's name")));
        Ok(())
    }

    #[test]
    fn a_series_made_to_have_anothers_id_gets_none_of_its_samples() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) =
            Store::open(StoreConfig::new(dir.path()), Arc::new(Disk), Arc::new(|| 1000)).unwrap();
        let forged = [("__name__", "forged")];
        let id = SeriesId::of_pairs(TENANT, forged.iter().copied());
        // Finding such labels takes effort; here the victim is simply given the forger's id.
        let shard = shard_of(id, store.inner.shards.shards.len());
        let victim = [("__name__", "victim")];
        store.inner.shards.shards[usize::from(shard)].index_mut().create(id, victim.into_iter());

        for _ in 0..2 {
            let outcome = write(&store, b"forged");
            assert_eq!(outcome.accepted.samples, 0);
            assert_eq!(outcome.first_refusal.unwrap().reason, RefusalReason::IdCollision);
        }
    }

    #[test]
    fn labels_that_no_index_can_hold_are_refused_whatever_the_limits() {
        let limits =
            LabelLimits { count_max: 9, name_size_max: usize::MAX, value_size_max: usize::MAX };
        for (size, fits) in [(PackedPair::LENGTH_MAX, true), (PackedPair::LENGTH_MAX + 1, false)] {
            let long = "x".repeat(size);
            assert_eq!(check(limits, &[("__name__", "m"), ("a", &long)]).is_ok(), fits);
            assert_eq!(check(limits, &[("__name__", "m"), (&long, "a")]).is_ok(), fits);
        }
    }

    #[test]
    fn when_references_end_no_series_gets_anothers() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) =
            Store::open(StoreConfig::new(dir.path()), Arc::new(Disk), Arc::new(|| 1000)).unwrap();
        for shard in &store.inner.shards.shards {
            shard.index_mut().skip_to(u32::MAX - 1);
        }
        let names: Vec<String> = (0..40).map(|i| format!("m{i}")).collect();
        let outcomes: Vec<_> = names.iter().map(|name| write(&store, name.as_bytes())).collect();
        let stored = outcomes.iter().filter(|outcome| outcome.accepted.samples == 1).count();
        // One for each shard.
        assert_eq!(stored, store.inner.shards.shards.len());
        let refused = outcomes.iter().filter_map(|outcome| outcome.first_refusal.as_ref());
        assert!(refused.into_iter().all(|refusal| refusal.reason == RefusalReason::TooManySeries));
        assert_eq!(store.statistics().series, stored);
    }

    fn write(store: &Store, name: &[u8]) -> WriteOutcome {
        let mut request = WriteRequest::default();
        request.timestamps.push(1000);
        request.values.push(1.0);
        request.series.push(WriteSeries {
            labels: EncodedLabels { bytes: name, decode },
            samples: 0..1,
            histograms: 0..0,
            exemplars: 0..0,
        });
        let (done, outcome) = mpsc::channel();
        store.write(&request, Box::new(move |result| done.send(result).unwrap()));
        outcome.recv().unwrap().unwrap()
    }
}

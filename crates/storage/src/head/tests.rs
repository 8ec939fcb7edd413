//! The head against a model: a map from (series, timestamp) to bits.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::settle::settle;
use metricstor_model::FloatHistogram;

/// Chunk files that hold nothing, or whatever a test put there.
#[derive(Default)]
struct Files(BTreeMap<(u32, i64), u64>);

impl History for Files {
    fn end(&self) -> i64 {
        self.0.keys().map(|(_, t)| *t).max().unwrap_or(i64::MIN)
    }

    fn read(&self, series: u32, range: TimeRange, out: &mut Samples) {
        for ((_, t), bits) in self.0.range((series, range.start)..=(series, range.end)) {
            out.push(*t, f64::from_bits(*bits));
        }
    }
}

fn read(head: &Head, series: u32) -> Vec<(i64, u64)> {
    let mut out = Samples::default();
    head.read(series, TimeRange::ALL, &mut |_| true, &mut out);
    out.timestamps.iter().copied().zip(out.values.iter().map(|v| v.to_bits())).collect()
}

proptest! {
    #[test]
    fn any_order_of_samples_reads_back_sorted_and_unique(
        steps in prop::collection::vec((0u32..3, 0i64..40, 0u64..3, 0u8..20), 1..200),
        chain_size_max in 1usize..100,
    ) {
        let mut head = Head { chain_size_max, ..Head::default() };
        head.define_below(1 << 13);
        let mut files = Files::default();
        let mut model = BTreeMap::new();
        for (series, timestamp, bits, flush) in steps {
            // A page each, so that pages are given back.
            let series = series << 11;
            if flush == 0 && let Some(frozen) = head.freeze() {
                for series in frozen.series() {
                    let mut out = Samples::default();
                    frozen.read(series, TimeRange::ALL, &mut |_| true, &mut out);
                    for (t, v) in out.timestamps.iter().zip(&out.values) {
                        prop_assert_eq!(files.0.insert((series, *t), v.to_bits()), None);
                    }
                }
                head.release_frozen();
            }
            head.define(series);
            if flush == 1 {
                let range = TimeRange::new(timestamp, timestamp + 5);
                let is_kept = |(of, at): &(u32, i64)| *of != series || !range.contains(*at);
                files.0.retain(|key, _| is_kept(key));
                model.retain(|key, _| is_kept(key));
                let series = RoaringBitmap::from_iter([series]);
                head.delete(&Arc::new(Tombstone { position: 1, range, series }));
                prop_assert_eq!(head.samples() as usize + files.0.len(), model.len());
            }
            let verdict = head.append(series, timestamp, bits, &files);
            let expected = match model.get(&(series, timestamp)) {
                None => Verdict::Accepted,
                Some(stored) if *stored == bits => Verdict::Duplicate,
                Some(_) => Verdict::Conflict,
            };
            prop_assert_eq!(verdict, expected);
            model.entry((series, timestamp)).or_insert(bits);
        }
        for series in [0, 1 << 11, 2 << 11] {
            let mut all = Samples::default();
            files.read(series, TimeRange::ALL, &mut all);
            let start = all.len();
            head.read(series, TimeRange::ALL, &mut |_| true, &mut all);
            settle(&mut all, start);
            let found: Vec<_> =
                all.timestamps.iter().copied().zip(all.values.iter().map(|v| v.to_bits())).collect();
            let expected: Vec<_> = model
                .iter()
                .filter(|((s, _), _)| *s == series)
                .map(|((_, t), bits)| (*t, *bits))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}

proptest! {
    #[test]
    fn the_parts_of_a_series_are_all_of_it(
        steps in prop::collection::vec((0i64..60, 0u64..3, 0u8..4), 1..120),
        chain_size_max in 1usize..60,
    ) {
        let (mut head, files) = (Head { chain_size_max, ..Head::default() }, Files::default());
        head.define(0);
        for (timestamp, bits, kind) in steps {
            let histogram = || FloatHistogram { count: bits as f64, ..Default::default() };
            let verdict = match kind {
                0 => head.append_histogram(0, timestamp, histogram(), &files),
                _ => head.append(0, timestamp, bits, &files),
            };
            if verdict == Verdict::Accepted && kind == 1 {
                head.note_start(0, timestamp, 1 + timestamp / 10);
            }
        }
        let frozen = head.freeze().unwrap();
        let (mut whole, mut parts) = (Samples::default(), Samples::default());
        frozen.read(0, TimeRange::ALL, &mut |_| true, &mut whole);
        let add = |part: &Samples| {
            parts.append(part, 0..part.len());
            Ok::<(), ()>(())
        };
        frozen.read_parts(0, &mut Samples::default(), add).unwrap();
        prop_assert_eq!(&parts.timestamps, &whole.timestamps);
        prop_assert_eq!(&parts.start_timestamps, &whole.start_timestamps);
        let bits = |samples: &Samples| -> Vec<u64> {
            samples.values.iter().map(|value| value.to_bits()).collect()
        };
        prop_assert_eq!(bits(&parts), bits(&whole));
        let counts = |samples: &Samples| -> Vec<(usize, f64)> {
            samples.histograms.iter().map(|(at, histogram)| (*at, histogram.count)).collect()
        };
        prop_assert_eq!(counts(&parts), counts(&whole));
    }
}

#[test]
fn a_series_from_an_earlier_run_is_checked_against_its_files() {
    let files = Files(BTreeMap::from([((0, 10), 7)]));
    let mut head = Head::default();
    head.define_below(1);
    assert_eq!(head.append(0, 10, 7, &files), Verdict::Duplicate);
    assert_eq!(head.append(0, 10, 8, &files), Verdict::Conflict);
    assert_eq!(head.append(0, 5, 8, &files), Verdict::Accepted);
    assert_eq!(head.append(0, 11, 9, &files), Verdict::Accepted);
    assert_eq!(read(&head, 0), [(5, 8), (11, 9)]);
}

#[test]
fn histograms_and_floats_share_one_time_line() {
    let files = Files::default();
    let mut head = Head::default();
    head.define(0);
    let histogram = FloatHistogram { count: 2.0, sum: f64::NAN, ..Default::default() };
    head.append(0, 1, 5, &files);
    let mut append = |t| head.append_histogram(0, t, histogram.clone(), &files);
    assert_eq!(append(2), Verdict::Accepted);
    assert_eq!(append(2), Verdict::Duplicate);
    assert_eq!(append(1), Verdict::Conflict);
    assert_eq!(head.append(0, 2, 5, &files), Verdict::Conflict);
    assert_eq!(head.append(0, 3, 6, &files), Verdict::Accepted);
    let mut out = Samples::default();
    head.read(0, TimeRange::ALL, &mut |_| true, &mut out);
    assert_eq!(out.timestamps, [1, 2, 3]);
    assert_eq!(out.histograms.len(), 1);
    assert_eq!(out.histograms[0].0, 1);
}

#[test]
fn histograms_count_with_their_buckets() {
    let (none, mut head) = (Files::default(), Head::default());
    head.define(0);
    let histogram = FloatHistogram { positive_buckets: vec![1.0; 1000], ..Default::default() };
    for timestamp in 1..=10 {
        head.append_histogram(0, timestamp, histogram.clone(), &none);
    }
    assert!((80_000..90_000).contains(&head.sample_bytes()), "{}", head.sample_bytes());
    let delete = |head: &mut Head, from, to| {
        let (range, series) = (TimeRange::new(from, to), RoaringBitmap::from_iter([0]));
        head.delete(&Arc::new(Tombstone { position: 1, range, series }));
    };
    delete(&mut head, 2, 9);
    assert!((16_000..18_000).contains(&head.sample_bytes()), "{}", head.sample_bytes());
    delete(&mut head, 1, 10);
    assert_eq!(head.sample_bytes(), 0);
}

#[test]
fn chains_that_were_opened_are_read_within_the_room_there_is() {
    let (none, mut head) = (Files::default(), Head { chain_size_max: 100, ..Head::default() });
    head.define(0);
    for timestamp in 0..10_000 {
        head.append(0, timestamp, 7, &none);
    }
    for timestamp in 0..9_000 {
        assert_eq!(head.append(0, timestamp, 7, &none), Verdict::Duplicate);
    }
    let mut out = Samples::default();
    let room = &mut |read: &Samples| read.len() < 1_000;
    assert!(!head.read(0, TimeRange::ALL, room, &mut out));
    assert!(out.len() < 2_000, "{}", out.len());
}

/// All writes wait meanwhile.
#[test]
fn a_late_sample_among_a_million_decodes_few_of_them() {
    let (none, mut head) = (Files::default(), Head::default());
    head.define(0);
    for timestamp in 0..1_000_000 {
        head.append(0, 2 * timestamp, 7, &none);
    }
    let before = head.sample_bytes();
    assert_eq!(head.append(0, 1_000_000, 7, &none), Verdict::Duplicate);
    assert_eq!(head.append(0, 1_000_001, 7, &none), Verdict::Accepted);
    let decoded = head.sample_bytes() - before;
    assert!(decoded < 4 << 20, "{decoded} bytes");
}

/// Any sender can do this; the commit thread must not decode a chain, or move a column, for each.
#[test]
fn a_million_late_samples_of_one_series_do_not_hold_up_the_others() {
    const MANY: i64 = 200_000;
    let started = std::time::Instant::now();
    let mut head = Head::default();
    head.define(3);
    let none = Files::default();
    let add = |head: &mut Head, timestamp: i64| head.append(3, timestamp, timestamp as u64, &none);
    // In order, then between them, then before them from the last on.
    let times =
        (0..MANY).map(|i| 2 * i).chain((0..MANY).map(|i| 2 * i + 1)).chain((1..MANY).map(|i| -i));
    for timestamp in times {
        assert_eq!(add(&mut head, timestamp), Verdict::Accepted);
    }
    assert_eq!(add(&mut head, 77), Verdict::Duplicate);
    assert_eq!(head.append(3, 77, 1, &none), Verdict::Conflict);
    assert_eq!(add(&mut head, 2 * MANY), Verdict::Accepted);
    let mut samples = Samples::default();
    head.read(3, TimeRange::ALL, &mut |_| true, &mut samples);
    assert!(samples.timestamps.iter().copied().eq(1 - MANY..=2 * MANY));
    let bits = samples.values.iter().map(|value| value.to_bits() as i64);
    assert!(bits.eq(1 - MANY..=2 * MANY));
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

/// The newest file may be deleted: then it is not the files that tell which samples are late.
#[test]
fn a_late_sample_is_found_when_the_files_end_before_it() {
    let mut head = Head::default();
    head.define_below(1);
    let files = Files(BTreeMap::from([((1, 300), 7)]));
    assert_eq!(head.append(0, 200, 1, &files), Verdict::Accepted);
    let none = Files::default();
    assert_eq!(head.append(0, 200, 1, &none), Verdict::Duplicate);
    assert_eq!(head.append(0, 200, 2, &none), Verdict::Conflict);
    assert_eq!(head.append(0, 100, 3, &none), Verdict::Accepted);
    assert_eq!(head.append(0, 100, 4, &none), Verdict::Conflict);
    assert_eq!(head.append(0, 400, 5, &none), Verdict::Accepted);
    assert_eq!(read(&head, 0), [(100, 3), (200, 1), (400, 5)]);
}

#[test]
fn nor_do_histograms_in_any_order() {
    const MANY: i64 = 100_000;
    let started = std::time::Instant::now();
    let mut head = Head::default();
    head.define(3);
    let none = Files::default();
    for i in 0..MANY {
        assert_eq!(head.append(3, 2 * i, 1, &none), Verdict::Accepted);
    }
    // Between the floats, behind them, and before them from the last on.
    for timestamp in (0..2 * MANY).map(|i| 2 * i + 1).chain((1..MANY).map(|i| -i)) {
        let histogram = FloatHistogram::default();
        assert_eq!(head.append_histogram(3, timestamp, histogram, &none), Verdict::Accepted);
    }
    let mut samples = Samples::default();
    head.read(3, TimeRange::ALL, &mut |_| true, &mut samples);
    assert_eq!(
        (samples.len(), samples.histograms.len()),
        (4 * MANY as usize - 1, 3 * MANY as usize - 1)
    );
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

//! What was written is read, by any range, and described rightly.

use std::ops::ControlFlow;

use metricstor_model::Need;

use super::*;
use crate::chunk_file::{ChunkFileError, Needed, metric_hash};
use crate::files::simulated::Operation;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_series_and_range_reads_as_written(
        model in models(), ranges in prop::collection::vec((-10i64..2000, -10i64..2000), 1..6),
    ) {
        let disk = disk();
        let file = written(&disk, &model);
        let mut scratch = Scratch::default();
        let mut ranges: Vec<_> = ranges.iter().map(|&(a, b)| TimeRange::new(a.min(b), a.max(b))).collect();
        ranges.push(TimeRange::ALL);
        for range in ranges {
            for (series, samples) in &model {
                let mut out = Samples::default();
                file.read(key(*series), range, &mut out, &mut scratch).unwrap();
                prop_assert_eq!(text(&out), text(&inside(samples, range)));
            }
        }
        prop_assert_eq!(file.verify(10).unwrap(), []);
    }

    #[test]
    fn what_is_not_there_reads_as_nothing(model in models(), series in any::<u32>()) {
        let disk = disk();
        let file = written(&disk, &model);
        let mut scratch = Scratch::default();
        prop_assert_eq!(file.contains(key(series), &mut scratch).unwrap(), model.contains_key(&series));
        if !model.contains_key(&series) {
            prop_assert!(read(&file, series, TimeRange::ALL).is_empty());
            prop_assert_eq!(file.last_sample(key(series), &mut scratch).unwrap(), None);
        }
    }

    #[test]
    fn reads_append(a in samples(50), b in samples(50)) {
        let disk = disk();
        let model: Model = [(1, a.clone()), (2, b.clone())].into();
        let file = written(&disk, &model);
        let mut scratch = Scratch::default();
        let mut out = Samples::default();
        file.read(key(1), TimeRange::ALL, &mut out, &mut scratch).unwrap();
        file.read(key(2), TimeRange::ALL, &mut out, &mut scratch).unwrap();
        let starts = |s: &Samples| (0..s.len()).map(|i| s.start_timestamps.get(i).copied().unwrap_or(0)).collect::<Vec<_>>();
        prop_assert_eq!(out.len(), a.len() + b.len());
        prop_assert_eq!(starts(&out), [starts(&a), starts(&b)].concat());
        prop_assert_eq!(out.histograms.len(), a.histograms.len() + b.histograms.len());
    }
}

#[test]
fn a_long_series_spans_chunks_and_reads_in_parts() {
    let disk = disk();
    let model: Model = (0..40).map(|series| (series, regular(series, 20_000))).collect();
    let summary = write(&disk, &model);
    assert_eq!((summary.series, summary.chunks, summary.samples), (40, 120, 800_000));
    let file = ChunkFile::open(&disk, &path(&summary)).unwrap();
    let times = &model[&0].timestamps;
    for (from, to) in [(0, 19_999), (6_660, 6_680), (8_000, 15_000), (19_999, 19_999)] {
        let range = TimeRange::new(times[from] - 1, times[to]);
        for (series, samples) in &model {
            assert_eq!(text(&read(&file, *series, range)), text(&inside(samples, range)));
        }
    }
}

#[test]
fn the_same_input_makes_the_same_file() {
    let model: Model = (0..100).map(|series| (series, regular(series, 50))).collect();
    let (a, b) = (disk(), disk());
    let summary = write(&a, &model);
    assert_eq!(summary, write(&b, &model));
    assert_eq!(a.content(&path(&summary)), b.content(&path(&summary)));
    assert_eq!(summary.size, a.content(&path(&summary)).unwrap().len() as u64);
    assert_eq!(a.list(dir()).unwrap(), [summary.name]);
}

#[test]
fn timestamps_are_stored_once_for_all_series_of_a_target() {
    let disk = disk();
    let one: Model = [(0, regular(0, 100))].into();
    let many: Model = (0..1000).map(|series| (series, regular(series, 100))).collect();
    let [one, many] = [one, many].map(|model| written(&disk, &model).describe());
    assert_eq!(one.timestamps_size, many.timestamps_size);
}

#[test]
fn a_small_series_takes_few_bytes_of_disk_and_memory() {
    let disk = disk();
    let model: Model = (0..10_000).map(|series| (series, regular(series, 10))).collect();
    let description = written(&disk, &model).describe();
    assert!(description.size < 10_000 * 28, "{description:?}");
    assert!(description.memory < 10_000, "{description:?}");
}

#[test]
fn labels_are_kept_in_the_order_of_writing() {
    let disk = disk();
    let model: Model = (0..5000).map(|series| (series, regular(series, 1))).collect();
    let mut seen = Vec::new();
    let visit = |series, found: &Labels| {
        assert_eq!(*found, labels(series));
        seen.push(series);
        ControlFlow::Continue(())
    };
    written(&disk, &model).for_each_series(visit).unwrap();
    let mut expected: Vec<u32> = model.keys().copied().collect();
    expected.sort_by_key(|series| series.reverse_bits());
    assert_eq!(seen, expected);
}

#[test]
fn the_last_sample_is_that_of_the_series() {
    let disk = disk();
    let model: Model = (0..10).map(|series| (series, regular(series, 9000))).collect();
    let file = written(&disk, &model);
    let mut scratch = Scratch::default();
    for (series, samples) in &model {
        let last = file.last_sample(key(*series), &mut scratch).unwrap().unwrap();
        assert_eq!(last.0, *samples.timestamps.last().unwrap());
        assert_eq!(last.1.to_bits(), samples.values.last().unwrap().to_bits());
    }
}

/// Two chunks, of which none, one or both lie inside the range and the time given.
#[test]
fn one_sample_stands_for_a_chunk_that_tells_enough() {
    let disk = disk();
    let model: Model = (0..10).map(|series| (series, regular(series, 9000))).collect();
    let file = written(&disk, &model);
    let mut scratch = Scratch::default();
    let all = &model[&3];
    let greatest = |samples: &Samples| samples.values.iter().copied().fold(f64::MIN, f64::max);
    let least = |samples: &Samples| samples.values.iter().copied().fold(f64::MAX, f64::min);
    let span = |from: usize, to: usize| TimeRange::new(all.timestamps[from], all.timestamps[to]);
    let spans = [span(0, 8999), span(1, 8999), span(0, 8998), span(10, 20), span(8500, 8900)];
    let mut left_out = Vec::new();
    for range in spans {
        for within in spans {
            let whole = inside(all, range);
            for need in [Need::Every, Need::Greatest, Need::Least, Need::One] {
                let (mut out, needed) = (Samples::default(), Needed::of_chunks(need, within));
                file.read_needed(key(3), range, needed, &mut |_| true, &mut out, &mut scratch)
                    .unwrap();
                assert_eq!(out.len() + out.left_out, whole.len(), "{need:?}");
                assert!(out.timestamps.is_sorted());
                match need {
                    Need::Every => assert_eq!(out.left_out, 0),
                    Need::Greatest => assert_eq!(greatest(&out), greatest(&whole)),
                    Need::Least => assert_eq!(least(&out), least(&whole)),
                    Need::One => left_out.push(out.left_out),
                }
            }
        }
    }
    assert_eq!(left_out[0], 9000 - 2);
    assert!(left_out[1] > 0 && left_out[1] < 9000 - 2, "the first chunk only as a whole");
    assert_eq!(left_out[3], 0);
}

#[test]
fn an_empty_file_is_a_file() {
    let disk = disk();
    let file = written(&disk, &Model::new());
    assert_eq!((file.series(), file.samples()), (0, 0));
    assert!(read(&file, 0, TimeRange::ALL).is_empty());
    assert_eq!(file.verify(10).unwrap(), []);
}

#[test]
fn disorder_and_repetition_are_refused() {
    let disk = disk();
    let mut writer = ChunkFileWriter::create(&disk, dir(), FileMeta::new(0, 0)).unwrap();
    let mut twice = regular(0, 10);
    twice.timestamps[5] = twice.timestamps[4];
    let refused = writer.add(9, &labels(9), &twice);
    assert!(matches!(refused, Err(ChunkFileError::MalformedSamples { series: 9 })));
    writer.add(3, &labels(3), &regular(3, 10)).unwrap();
    let again = writer.add(3, &labels(3), &regular(3, 10));
    assert!(matches!(again, Err(ChunkFileError::MalformedSamples { series: 3 })));
    for series in [4, 3] {
        writer.add(series, &labels(series), &regular(series, 10)).unwrap();
    }
    assert!(matches!(writer.finish(), Err(ChunkFileError::DuplicateSeries)));
    assert_eq!(disk.list(dir()).unwrap(), [] as [&str; 0]);
}

#[test]
fn a_file_has_its_name_only_when_it_is_durable() {
    let model: Model = (0..100).map(|series| (series, regular(series, 500))).collect();
    for failing in [Operation::Write, Operation::Sync] {
        let disk = disk();
        let mut writer = ChunkFileWriter::create(&disk, dir(), FileMeta::new(0, 0)).unwrap();
        for (series, samples) in &model {
            writer.add(*series, &labels(*series), samples).unwrap();
        }
        disk.fail(failing, 0, 1, std::io::ErrorKind::Other);
        assert!(writer.finish().is_err());
        assert_eq!(disk.list(dir()).unwrap(), [] as [&str; 0]);
    }
    for seed in 0..50 {
        let disk = disk();
        let summary = write(&disk, &model);
        disk.crash(seed);
        let file = ChunkFile::open(&disk, &path(&summary)).unwrap();
        assert_eq!(file.verify(10).unwrap(), []);
    }
}

/// Two names of metrics with the same hash.
fn colliding_names() -> (String, String) {
    let mut seen = std::collections::HashMap::new();
    let name = |i: u32| format!("metric_{i}");
    (0..)
        .find_map(|i| seen.insert(metric_hash(&name(i)), i).map(|first| (name(first), name(i))))
        .unwrap()
}

#[test]
fn metrics_that_share_a_hash_are_mixed_and_all_there() {
    let disk = disk();
    let (one, two) = colliding_names();
    let of = |name: &str| Labels::from_pairs([("__name__", name)]).unwrap();
    let series: Vec<(u32, Labels)> =
        (0..100).map(|i| (i, of([&one, &two, "up"][i as usize % 3]))).collect();
    let mut writer = ChunkFileWriter::create(&disk, dir(), FileMeta::new(0, 7)).unwrap();
    for (reference, labels) in &series {
        writer.add(*reference, labels, &regular(*reference, 20)).unwrap();
    }
    let file = ChunkFile::open(&disk, &path(&writer.finish().unwrap())).unwrap();
    for (reference, labels) in series {
        let (mut out, mut scratch) = (Samples::default(), Scratch::default());
        file.read(SeriesKey::new(reference, &labels), TimeRange::ALL, &mut out, &mut scratch)
            .unwrap();
        assert_eq!(text(&out), text(&regular(reference, 20)));
        out.clear();
        let other = SeriesKey::new(reference, &of("other"));
        file.read(other, TimeRange::ALL, &mut out, &mut scratch).unwrap();
        assert!(out.is_empty());
    }
}

//! Series made up for the tests, and a model of a file: a map.

mod caching;
mod damage;
mod fuzz;
mod merging;
mod round_trip;
mod structure;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metricstor_model::{FloatHistogram, Labels, STALE_NAN, Samples, Span, TimeRange};
use proptest::prelude::*;

use super::{ChunkFile, ChunkFileWriter, FileMeta, FileSummary, Scratch, SeriesKey};
use crate::files::{Files, Simulated};

/// What a file should hold.
type Model = BTreeMap<u32, Samples>;

fn dir() -> &'static Path {
    Path::new("/shard/chunks")
}

fn disk() -> Simulated {
    let disk = Simulated::new();
    disk.create_dir(dir()).unwrap();
    disk
}

fn labels(series: u32) -> Labels {
    let instance = format!("node-{:03}.example.net:9100", series / 7);
    let name = ["node_load1", "node_cpu_seconds_total", "up"][series as usize % 3];
    let pairs = [("__name__", name), ("instance", instance.as_str()), ("job", "node")];
    Labels::from_pairs(pairs).unwrap()
}

fn key(series: u32) -> SeriesKey {
    SeriesKey::new(series, &labels(series))
}

/// Writes the series in the order given by their references' lowest bits: not the directory's.
fn write(disk: &Simulated, model: &Model) -> FileSummary {
    write_by(disk, model, |series| series.reverse_bits())
}

fn write_by<K: Ord>(disk: &Simulated, model: &Model, order: impl Fn(u32) -> K) -> FileSummary {
    let mut writer = ChunkFileWriter::create(disk, dir(), FileMeta::new(0, 7)).unwrap();
    let mut ordered: Vec<_> = model.iter().collect();
    ordered.sort_by_key(|(series, _)| order(**series));
    for (series, samples) in ordered {
        writer.add(*series, &labels(*series), samples).unwrap();
    }
    writer.finish().unwrap()
}

fn path(summary: &FileSummary) -> PathBuf {
    dir().join(&summary.name)
}

fn written(disk: &Simulated, model: &Model) -> ChunkFile {
    ChunkFile::open(disk, &path(&write(disk, model))).unwrap()
}

fn read(file: &ChunkFile, series: u32, range: TimeRange) -> Samples {
    let mut out = Samples::default();
    file.read(key(series), range, &mut out, &mut Scratch::default()).unwrap();
    out
}

/// The model's answer to a read.
fn inside(samples: &Samples, range: TimeRange) -> Samples {
    let mut out = Samples::default();
    for (i, &timestamp) in samples.timestamps.iter().enumerate() {
        if !range.contains(timestamp) {
            continue;
        }
        match samples.histograms.iter().find(|(at, _)| *at == i) {
            Some((_, histogram)) => out.push_histogram(timestamp, histogram.clone()),
            None => out.push(timestamp, samples.values[i]),
        }
        out.start_timestamps.extend(samples.start_timestamps.get(i));
    }
    out
}

/// Samples as text: NaN by bits, no value beside a histogram, no start timestamps if all are zero.
fn text(samples: &Samples) -> String {
    let mut bits: Vec<u64> = samples.values.iter().map(|value| value.to_bits()).collect();
    samples.histograms.iter().for_each(|(at, _)| bits[*at] = 0);
    let starts = samples.start_timestamps.iter().any(|&start| start != 0);
    let starts = if starts { &samples.start_timestamps[..] } else { &[] };
    format!("{:?} {bits:?} {:?} {starts:?}", samples.timestamps, samples.histograms)
}

/// Regular scrapes of a counter, a gauge and a constant, with a stale marker at some ends.
fn regular(series: u32, samples: usize) -> Samples {
    let mut out = Samples::default();
    for i in 0..samples as i64 {
        let value = match series % 3 {
            0 => (i * series as i64 + i % 4) as f64,
            1 => ((i * 7919 + series as i64) % 1000) as f64 / 100.0,
            _ => 1.0,
        };
        out.push(1_700_000_000_000 + i * 15_000, value);
    }
    if series % 5 == 4
        && let Some(last) = out.values.last_mut()
    {
        *last = f64::from_bits(STALE_NAN);
    }
    out
}

fn histogram(i: i64) -> Arc<FloatHistogram> {
    Arc::new(FloatHistogram {
        schema: 3,
        count: (i * 9) as f64,
        sum: i as f64 * 1.5,
        positive_spans: vec![Span { offset: 2, length: 1 + (i / 8) as u32 % 3 }],
        positive_buckets: (0..1 + i / 8 % 3).map(|b| (b * i) as f64).collect(),
        ..FloatHistogram::default()
    })
}

/// One series' samples: irregular, any value, sometimes histograms or start timestamps.
fn samples(max: usize) -> impl Strategy<Value = Samples> {
    let value = prop_oneof![
        4 => (0i64..1000).prop_map(|x| x as f64 / 8.0),
        1 => any::<u64>().prop_map(f64::from_bits),
    ];
    let sample = (1i64..40, value, any::<bool>());
    (prop::collection::vec(sample, 0..max), 0u8..6).prop_map(|(all, kind)| {
        let mut out = Samples::default();
        let mut timestamp = 0;
        for (i, (step, value, odd)) in all.into_iter().enumerate() {
            timestamp += if kind < 3 { 10 } else { step };
            match (kind, odd) {
                (5, _) | (4, true) => out.push_histogram(timestamp, histogram(i as i64)),
                _ => out.push(timestamp, value),
            }
            if kind == 1 {
                out.start_timestamps.push(timestamp - 5);
            }
        }
        out
    })
}

fn models() -> impl Strategy<Value = Model> {
    prop::collection::btree_map(any::<u16>().prop_map(u32::from), samples(60), 0..70)
        .prop_map(|model| model.into_iter().filter(|(_, samples)| !samples.is_empty()).collect())
}

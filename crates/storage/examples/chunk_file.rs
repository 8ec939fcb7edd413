//! Size and speed of chunk files on recorded data, on the disk under the current folder:
//! `xz -dc corpus.txt.xz | cargo run --release -p metricstor-storage --example chunk_file [level]`

// A panic is how a measurement reports its failure.
#![allow(clippy::unwrap_used)]

#[path = "../../chunk/examples/corpus/mod.rs"]
mod corpus;

use std::io::Read;
use std::path::Path;

use corpus::{Corpus, Target};
use metricstor_model::{Labels, Samples, TimeRange};
use metricstor_storage::chunk_file::{ChunkFile, ChunkFileWriter, FileMeta, Scratch, SeriesKey};
use metricstor_storage::files::Disk;

const INTERVAL_MS: i64 = 15_000;
const START_MS: i64 = 1_790_000_000_000;

fn main() {
    let level = std::env::args().nth(1).map_or(0, |n| n.parse().unwrap());
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).unwrap();
    let corpus = Corpus::parse(&text);
    let dir = tempfile::tempdir_in(".").unwrap();
    measure("deep", &corpus, 20, 5760, level, dir.path());
    measure("wide", &corpus, 1000, 60, level, dir.path());
    measure("million", &corpus, 1413, 10, level, dir.path());
}

fn measure(name: &str, corpus: &Corpus, targets: usize, scrapes: usize, level: u8, dir: &Path) {
    let series = scrape(corpus, targets, scrapes);
    let start = processor_seconds();
    let mut writer = ChunkFileWriter::create(&Disk, dir, FileMeta::new(level, 0)).unwrap();
    for (reference, labels, samples) in &series {
        writer.add(*reference, labels, samples).unwrap();
    }
    let summary = writer.finish().unwrap();
    let written = processor_seconds() - start;
    let file = ChunkFile::open(&Disk, &dir.join(&summary.name)).unwrap();
    let total = summary.samples as f64;
    let part = |bytes: u64| bytes as f64 / total;
    let description = file.describe();
    println!(
        "{name}: {} series, {} samples, {:.4} bytes/sample (timestamps {:.4}, labels {:.4}, directory {:.4}); memory {:.2} bytes/series",
        summary.series,
        summary.samples,
        part(summary.size),
        part(description.timestamps_size),
        part(description.labels_size),
        part(description.directory_size),
        description.memory as f64 / summary.series as f64,
    );
    println!(
        "  write {:.1} M samples/s, {:.0} ns/series",
        total / written / 1e6,
        written / summary.series as f64 * 1e9
    );
    let end = series.iter().filter_map(|s| s.2.timestamps.last()).max().copied().unwrap();
    let key = |(reference, labels, _): &_| SeriesKey::new(*reference, labels);
    let mut keys: Vec<SeriesKey> = series.iter().map(key).collect();
    keys.sort_unstable();
    drop(series);
    for order in ["order of the file", "order of references"] {
        for (what, range) in [
            ("all", TimeRange::ALL),
            ("last hour", TimeRange::new(end - 3_600_000, end)),
            ("last 5 minutes", TimeRange::new(end - 300_000, end)),
        ] {
            let start = processor_seconds();
            let samples = read(&file, &keys, range);
            let seconds = processor_seconds() - start;
            println!(
                "  read {what}, {order}: {:.1} M samples/s, {:.0} ns/series",
                samples as f64 / seconds / 1e6,
                seconds / keys.len() as f64 * 1e9
            );
        }
        keys.sort_unstable_by_key(|key| key.series);
    }
}

fn read(file: &ChunkFile, keys: &[SeriesKey], range: TimeRange) -> usize {
    let (mut out, mut scratch, mut samples) = (Samples::default(), Scratch::default(), 0);
    for &key in keys {
        out.clear();
        file.read(key, range, &mut out, &mut scratch).unwrap();
        samples += out.len();
    }
    samples
}

/// What the kernel says this thread has used: other work on the machine only lengthens the wait.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Every series in the order of metrics, references in the order of targets.
fn scrape(corpus: &Corpus, targets: usize, scrapes: usize) -> Vec<(u32, Labels, Samples)> {
    let width = corpus.templates.len();
    let mut series = Vec::new();
    let mut values = Vec::new();
    for id in 0..targets {
        let mut target = Target::new(corpus, id, 5, INTERVAL_MS);
        let first = series.len();
        for (i, template) in corpus.templates.iter().enumerate() {
            let pairs = template.labels.iter().map(|(n, v)| (n.as_str(), v.as_str()));
            let of_target = [
                ("__name__", template.name.as_str()),
                ("instance", &target.instance),
                ("dc", &target.dc),
                ("job", "node"),
            ];
            let labels = Labels::from_pairs(pairs.chain(of_target)).unwrap();
            series.push(((id * width + i) as u32, labels, Samples::default()));
        }
        for i in 0..scrapes as i64 {
            let at = target.scrape(corpus, START_MS + i * INTERVAL_MS, &mut values);
            series[first..].iter_mut().zip(&values).for_each(|(s, &value)| s.2.push(at, value));
        }
    }
    series.sort_by_key(|(reference, _, _)| *reference as usize % width);
    series
}

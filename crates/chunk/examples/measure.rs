//! Bytes per sample and speed of the codecs on recorded data:
//! `xz -dc corpus.txt.xz | cargo run --release --example measure [targets]`

// A panic is how a measurement reports its failure.
#![allow(clippy::unwrap_used)]

// Labels matter to other measurements only.
#[allow(dead_code)]
mod corpus;

use std::io::Read;

use corpus::{Corpus, Target};
use metricstor_chunk::timestamps;
use metricstor_chunk::values::{self, Packing};

const SCRAPES: usize = 5760;
const INTERVAL_MS: i64 = 15_000;
const START_MS: i64 = 1_790_000_000_000;

fn main() {
    let targets = std::env::args().nth(1).map_or(2, |n| n.parse().unwrap());
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).unwrap();
    let corpus = Corpus::parse(&text);
    let (columns, series) = scrape(&corpus, targets);
    let varying: Vec<&[f64]> = series
        .iter()
        .filter(|s| s.iter().any(|x| x.to_bits() != s[0].to_bits()))
        .map(|s| &s[..])
        .collect();
    let all: Vec<&[f64]> = series.iter().map(|s| &s[..]).collect();
    println!("{} series, {} vary; {} samples each", all.len(), varying.len(), SCRAPES);
    println!(
        "| values | packing | samples a chunk | bytes/sample | encode M/s | decode M/s | one block of 128 in, M chunks/s |"
    );
    println!("|---|---|---|---|---|---|---|");
    for samples in [10, 60, 480, 5760] {
        for packing in [Packing::Fast, Packing::Dense] {
            measure("all", &all, samples, packing);
            measure("varying", &varying, samples, packing);
        }
    }
    println!("| timestamps | samples a chunk | bytes/timestamp | encode M/s | decode M/s |");
    println!("|---|---|---|---|---|");
    for samples in [10, 60, 480, 5760] {
        measure_timestamps(&columns, samples);
    }
}

/// One column of timestamps per target, then every series' values.
fn scrape(corpus: &Corpus, targets: usize) -> (Vec<Vec<i64>>, Vec<Vec<f64>>) {
    let (mut columns, mut series, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for id in 0..targets {
        let mut target = Target::new(corpus, id, 5, INTERVAL_MS);
        let first = series.len();
        series.resize_with(first + corpus.templates.len(), || Vec::with_capacity(SCRAPES));
        let mut column = Vec::new();
        for i in 0..SCRAPES as i64 {
            column.push(target.scrape(corpus, START_MS + i * INTERVAL_MS, &mut values));
            series[first..].iter_mut().zip(&values).for_each(|(s, &v)| s.push(v));
        }
        columns.push(column);
    }
    (columns, series)
}

fn measure(name: &str, series: &[&[f64]], samples: usize, packing: Packing) {
    let chunks: Vec<&[f64]> = series.iter().flat_map(|s| s.chunks_exact(samples)).collect();
    let total = chunks.len() * samples;
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    let encode = best_of(3, || {
        bytes.clear();
        ends.clear();
        for chunk in &chunks {
            values::encode(chunk, packing, &mut bytes);
            ends.push(bytes.len());
        }
    });
    let encoded: Vec<&[u8]> =
        std::iter::once(&0).chain(&ends).zip(&ends).map(|(&a, &b)| &bytes[a..b]).collect();
    let mut out = Vec::new();
    for (bytes, chunk) in encoded.iter().zip(&chunks) {
        out.clear();
        values::decode(bytes, samples, 0..samples, &mut out).unwrap();
        assert!(out.iter().zip(*chunk).all(|(a, b)| a.to_bits() == b.to_bits()), "not lossless");
    }
    let mut decode = |range: std::ops::Range<usize>| {
        best_of(3, || {
            for bytes in &encoded {
                out.clear();
                values::decode(bytes, samples, range.clone(), &mut out).unwrap();
                std::hint::black_box(&out);
            }
        })
    };
    let whole = decode(0..samples);
    let middle = samples / 2 / 128 * 128;
    let part = decode(middle..samples.min(middle + 128));
    println!(
        "| {name} | {packing:?} | {samples} | {:.3} | {:.0} | {:.0} | {:.1} |",
        bytes.len() as f64 / total as f64,
        total as f64 / encode / 1e6,
        total as f64 / whole / 1e6,
        chunks.len() as f64 / part / 1e6,
    );
}

fn measure_timestamps(columns: &[Vec<i64>], samples: usize) {
    let chunks: Vec<&[i64]> = columns.iter().flat_map(|c| c.chunks_exact(samples)).collect();
    let total = chunks.len() * samples;
    let encoded: Vec<Vec<u8>> = chunks
        .iter()
        .map(|chunk| {
            let mut bytes = Vec::new();
            timestamps::encode(chunk, &mut bytes);
            bytes
        })
        .collect();
    let size: usize = encoded.iter().map(Vec::len).sum();
    let mut bytes = Vec::new();
    let encode = best_of(3, || {
        for chunk in &chunks {
            bytes.clear();
            timestamps::encode(chunk, &mut bytes);
        }
    });
    let mut out = Vec::new();
    let decode = best_of(3, || {
        for bytes in &encoded {
            out.clear();
            timestamps::decode(bytes, samples, 0..samples, &mut out).unwrap();
            std::hint::black_box(&out);
        }
    });
    println!(
        "| jittered scrapes | {samples} | {:.3} | {:.0} | {:.0} |",
        size as f64 / total as f64,
        total as f64 / encode / 1e6,
        total as f64 / decode / 1e6,
    );
}

/// The least time on the processor of a few runs, in seconds: other work only adds to it. Short
/// runs are repeated, as the kernel's clock ticks in milliseconds.
fn best_of(runs: usize, mut run: impl FnMut()) -> f64 {
    let mut time = |_| {
        let start = processor_seconds();
        for n in 1.. {
            run();
            let seconds = processor_seconds() - start;
            if seconds > 0.1 {
                return seconds / n as f64;
            }
        }
        f64::INFINITY
    };
    (0..runs).map(&mut time).fold(f64::INFINITY, f64::min)
}

/// What the kernel says this thread has used.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

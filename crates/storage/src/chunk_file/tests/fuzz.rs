//! Fuzzed chunk files, and their parts behind the checksums.

use metricstor_chunk::values::Packing;
use metricstor_chunk::{body, timestamps};

use super::*;
use crate::chunk_file::labels::LabelReader;
use crate::chunk_file::{CHUNK_SAMPLES_MAX, DECODED_HISTOGRAMS_SIZE_MAX};
use crate::fuzz::fuzz;

fn corpus() -> Vec<Samples> {
    let mut mixed = regular(1, 20);
    mixed.histograms = (3..20).map(|i| (i, histogram(i as i64))).collect();
    mixed.start_timestamps = vec![1_600_000_000_000; 20];
    vec![regular(0, 300), regular(1, 130), regular(2, 40), regular(4, 7), mixed]
}

#[test]
fn chunk_files() {
    let disk = disk();
    let model: Model = (0..).zip(corpus()).collect();
    let path = path(&write(&disk, &model));
    let bytes = disk.content(&path).unwrap();
    fuzz("chunk files", &[bytes], |bytes| {
        disk.plant(&path, bytes.to_vec());
        if let Ok(file) = ChunkFile::open(&disk, &path) {
            file.verify(5).unwrap();
            for series in model.keys() {
                let mut out = Samples::default();
                if file
                    .read(key(*series), TimeRange::ALL, &mut out, &mut Scratch::default())
                    .is_ok()
                {
                    assert_eq!(text(&out), text(&model[series]));
                }
            }
        }
    });
}

#[test]
fn chunk_bodies() {
    let mut encoded = Vec::new();
    for samples in corpus() {
        for packing in [Packing::Fast, Packing::Dense] {
            let mut bytes = Vec::new();
            body::encode(&samples, 0..samples.len(), packing, &mut bytes);
            encoded.push(bytes);
        }
    }
    let mut out = Samples::default();
    let mut count = 0;
    fuzz("chunk bodies", &encoded, |bytes| {
        count = (count * 7 + 13) % CHUNK_SAMPLES_MAX;
        out.clear();
        let _ = body::decode(bytes, count, 0..count, DECODED_HISTOGRAMS_SIZE_MAX, &mut out);
        assert!(out.values.len() <= count);
        let _ = body::extremes(bytes, count);
    });
}

#[test]
fn timestamp_columns() {
    let encode = |samples: Samples| {
        let mut bytes = Vec::new();
        timestamps::encode(&samples.timestamps, &mut bytes);
        bytes
    };
    let columns: Vec<Vec<u8>> = corpus().into_iter().map(encode).collect();
    let mut out = Vec::new();
    fuzz("timestamp columns", &columns, |bytes| {
        let Ok(summary) = timestamps::Summary::read(bytes, CHUNK_SAMPLES_MAX) else { return };
        assert!(summary.count <= CHUNK_SAMPLES_MAX);
        out.clear();
        let _ = timestamps::decode(bytes, CHUNK_SAMPLES_MAX, 0..summary.count, &mut out);
        assert!(out.len() <= CHUNK_SAMPLES_MAX);
    });
}

#[test]
fn label_frames() {
    let mut records = Vec::new();
    let mut previous = Vec::new();
    for series in 0..40u32 {
        let mut record = Vec::new();
        for text in labels(series).iter().flat_map(|(name, value)| [name, value]) {
            record.push(text.len() as u8);
            record.extend_from_slice(text.as_bytes());
        }
        let shared = record.iter().zip(&previous).take_while(|(a, b)| a == b).count();
        records.extend_from_slice(&[2, shared as u8, (record.len() - shared) as u8]);
        records.extend_from_slice(&record[shared..]);
        previous = record;
    }
    let mut reader = LabelReader::default();
    fuzz("label frames", &[records], |bytes| {
        let packed = zstd::bulk::compress(bytes, 1).unwrap();
        reader.load(&packed, bytes.len() as u64).unwrap();
        let mut read = 0;
        while let Ok(Some((_, labels))) = reader.next() {
            assert!(labels.iter().is_sorted_by(|a, b| a.0 < b.0));
            read += 1;
            assert!(read <= bytes.len());
        }
    });
}

//! Write requests made by hand, and a store on a directory of its own.
#![allow(dead_code)] // each test file uses its part

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, mpsc};

use metricstor_model::{
    EncodedLabels, LabelsFault, Matcher, Samples, SeriesSet, TimeRange, WriteRequest, WriteSeries,
};
use metricstor_storage::files::{Disk, Files};
use metricstor_storage::{
    Recovery, StorageError, Store, StoreConfig, WriteError, WriteOutcome, Writer,
};

/// "Now" in all tests.
pub const NOW: i64 = 1_800_000_000_000;

/// A sample of a series named by a text `name=value,name=value`.
pub type Row = (String, i64, f64);

pub fn open_at(dir: &Path, now: i64) -> Result<(Store, Recovery), StorageError> {
    open_with(dir, Arc::new(Disk), now, |_| {})
}

pub fn open(dir: &Path) -> Store {
    open_at(dir, NOW).unwrap().0
}

pub fn open_with(
    dir: &Path,
    files: Arc<dyn Files>,
    now: i64,
    change: impl FnOnce(&mut StoreConfig),
) -> Result<(Store, Recovery), StorageError> {
    let mut config = StoreConfig::new(dir);
    config.log_segment_bytes = 1 << 20;
    change(&mut config);
    Store::open(config, files, Arc::new(move || now))
}

/// Writes rows in one request and waits for the answer.
pub fn write(store: &Store, rows: &[Row]) -> Result<WriteOutcome, WriteError> {
    write_as(&Writer::default(), store, rows)
}

pub fn write_as(writer: &Writer, store: &Store, rows: &[Row]) -> Result<WriteOutcome, WriteError> {
    let mut request = WriteRequest::default();
    for (labels, timestamp, value) in rows {
        let start = request.timestamps.len();
        request.timestamps.push(*timestamp);
        request.values.push(*value);
        request.series.push(WriteSeries {
            labels: EncodedLabels { bytes: labels.as_bytes(), decode },
            samples: start..start + 1,
            histograms: 0..0,
            exemplars: 0..0,
        });
    }
    let (answer, answered) = mpsc::channel();
    store.write_as(writer, &request, Box::new(move |result| answer.send(result).unwrap()));
    answered.recv().unwrap()
}

pub fn decode<'a>(bytes: &'a [u8], pairs: &mut Vec<(&'a str, &'a str)>) -> Result<(), LabelsFault> {
    let text = std::str::from_utf8(bytes).map_err(|_| LabelsFault::NotUtf8)?;
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        pairs.push(pair.split_once('=').ok_or(LabelsFault::Malformed)?);
    }
    Ok(())
}

/// Every sample in the store: (labels as text, timestamp) → bits.
pub fn everything(store: &Store) -> BTreeMap<(String, i64), u64> {
    let mut all = BTreeMap::new();
    let selection = store.select(&[Matcher::equal("__none__", "")]).unwrap();
    let mut samples = Samples::default();
    for i in 0..selection.len() {
        let labels = selection.labels(i);
        let text: Vec<String> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
        selection.read(i, TimeRange::ALL, &mut samples).unwrap();
        assert!(samples.timestamps.is_sorted_by(|a, b| a < b));
        for (timestamp, value) in samples.timestamps.iter().zip(&samples.values) {
            all.insert((text.join(","), *timestamp), value.to_bits());
        }
    }
    all
}

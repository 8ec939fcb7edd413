//! Beyond the memory limit writes are refused with the reason; what the store holds is flushed before
//! it comes to that; nothing acknowledged is lost.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};

use metricstor_memory::Budget;
use metricstor_model::{EncodedLabels, WriteRequest, WriteSeries};
use metricstor_storage::files::Disk;
use metricstor_storage::{RefusalReason, WriteError};

mod support;
use support::{NOW, Row, decode, everything, open_with, write};

fn rows(round: i64) -> Vec<Row> {
    let row = |i: i64| {
        // Not compressible, so that the heads grow.
        let value = ((round * 5000 + i) as f64).sin();
        let at = NOW - 40_000_000 + (round * 10 + i / 500) * 1000;
        (format!("__name__=m,i={}", i % 500), at, value)
    };
    (0..5000).map(row).collect()
}

#[test]
fn writes_are_refused_beyond_the_limit_and_the_heads_keep_below_it() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Budget::new(12 << 20);
    let (store, _) =
        open_with(dir.path(), Arc::new(Disk), NOW, |config| config.memory = memory.clone())
            .unwrap();
    let mut model = BTreeMap::new();
    for round in 0..60 {
        let others = memory.limit().saturating_sub(memory.held());
        let others = memory.take(others).unwrap();
        let error = write(&store, &rows(round)).unwrap_err();
        assert!(matches!(error, WriteError::Memory(_)), "{error}");
        assert!(error.to_string().contains("memory.limit"), "{error}");
        drop(others);
        assert_eq!(write(&store, &rows(round)).unwrap().first_refusal, None);
        model.extend(rows(round).into_iter().map(|(l, t, value)| ((l, t), value.to_bits())));
        assert!(memory.held() <= memory.limit());
    }
    // A thread that reads keeps the blocks' cache as long as it lives.
    let found = std::thread::scope(|scope| scope.spawn(|| everything(&store)).join().unwrap());
    assert_eq!(found, model);
    assert_eq!(store.metrics().writes_shed.get(), 60);
    drop(store);
    assert_eq!(memory.held(), 0, "everything is given back");
}

#[test]
fn beyond_its_part_for_series_new_ones_are_refused_and_known_ones_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Budget::new(24 << 20);
    let (store, _) =
        open_with(dir.path(), Arc::new(Disk), NOW, |config| config.memory = memory.clone())
            .unwrap();
    let rows = |first: i64, at: i64| -> Vec<Row> {
        (first..first + 1000).map(|i| (format!("__name__=m,i={i}"), at, 1.0)).collect()
    };
    let stored = |rows: &[Row]| {
        for _ in 0..10 {
            match write(&store, rows) {
                Ok(outcome) => return outcome,
                // Heads may be what is large at this moment.
                Err(WriteError::Memory(_)) => store.compact().unwrap(),
                Err(error) => panic!("{error}"),
            }
        }
        panic!("{} bytes held, {:?}", memory.held(), store.statistics());
    };
    let refusals = (0..).map(|n| stored(&rows(n * 1000, NOW - 1000)).first_refusal);
    let refusal = refusals.take(2000).flatten().next().unwrap();
    assert_eq!(refusal.reason, RefusalReason::TooManySeries);
    assert!(refusal.detail.contains("memory.limit"), "{refusal}");
    let known = stored(&rows(0, NOW));
    assert_eq!((known.first_refusal, known.accepted.samples), (None, 1000));
    assert!(store.metrics().samples_refused(RefusalReason::TooManySeries) > 0);
    // The first flush empties the heads' pages, the second gives them back.
    for _ in 0..2 {
        store.compact().unwrap();
    }
    assert!(store.statistics().head_bytes < 1 << 20, "{:?}", store.statistics());
}

/// A few hundred of them are as much as a million others.
#[test]
fn series_with_long_labels_leave_room_for_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Budget::new(24 << 20);
    let (store, _) =
        open_with(dir.path(), Arc::new(Disk), NOW, |config| config.memory = memory.clone())
            .unwrap();
    let known: Row = ("__name__=known".to_owned(), NOW - 1000, 1.0);
    write(&store, std::slice::from_ref(&known)).unwrap();
    let long = |i: i64| -> Row {
        let label = |n| format!(",l{n}={i}-{n}-{}", "x".repeat(4000));
        ((0..20).map(label).fold("__name__=long".to_owned(), |all, one| all + &one), NOW, 1.0)
    };
    // As fast as can be: what is noted once a second comes too late.
    let outcomes = (0..600).map(|i| write(&store, &[long(i)]));
    let refusal = outcomes.take_while(Result::is_ok).flatten().find_map(|o| o.first_refusal);
    assert_eq!(refusal.unwrap().reason, RefusalReason::TooManySeries);
    assert!(memory.limit() / 2 > 80_000 * store.statistics().series, "{:?}", store.statistics());
    let outcome = write(&store, &[(known.0, NOW, 2.0)]).unwrap();
    assert_eq!((outcome.first_refusal, outcome.accepted.samples), (None, 1));
}

/// A byte of the log may be a sample of sixteen bytes.
#[test]
fn a_request_is_charged_for_its_samples_not_only_for_their_encoding() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Budget::new(64 << 20);
    let (store, _) =
        open_with(dir.path(), Arc::new(Disk), NOW, |config| config.memory = memory.clone())
            .unwrap();
    let mut request = WriteRequest::default();
    request.timestamps.extend((0..400_000).map(|i| NOW - 500_000_000 + i * 1000));
    request.values.resize(400_000, 1.0);
    request.series.push(WriteSeries {
        labels: EncodedLabels { bytes: b"__name__=m", decode },
        samples: 0..400_000,
        histograms: 0..0,
        exemplars: 0..0,
    });
    for (left, fits) in [(6 << 20, false), (16 << 20, true)] {
        let others = memory.take(memory.limit() - memory.held() - left).unwrap();
        let (answer, answered) = mpsc::channel();
        store.write(&request, Box::new(move |result| answer.send(result.is_ok()).unwrap()));
        assert_eq!(answered.recv().unwrap(), fits, "{left} bytes left");
        drop(others);
    }
}

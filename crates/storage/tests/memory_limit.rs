//! Beyond the memory limit writes are refused with the reason; what the store holds is flushed before
//! it comes to that; nothing acknowledged is lost.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::collections::BTreeMap;
use std::sync::Arc;

use metricstor_memory::Budget;
use metricstor_storage::files::Disk;
use metricstor_storage::{RefusalReason, WriteError};

mod support;
use support::{NOW, Row, everything, open_with, write};

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
    assert_eq!(everything(&store), model);
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
    let try_store = |rows: &[Row]| match write(&store, rows) {
        Ok(outcome) => Some(outcome),
        // Heads may be what is large at this moment.
        Err(WriteError::Memory(_)) => {
            store.compact().unwrap();
            None
        }
        Err(error) => panic!("{error}"),
    };
    let stored = |rows: &[Row]| {
        (0..100).find_map(|_| try_store(rows)).expect("a flush makes room for writes")
    };
    let refusals = (0..).map(|n| stored(&rows(n * 1000, NOW - 1000)).first_refusal);
    let refusal = refusals.take(2000).flatten().next().unwrap();
    assert_eq!(refusal.reason, RefusalReason::TooManySeries);
    assert!(refusal.detail.contains("memory.limit"), "{refusal}");
    let known = stored(&rows(0, NOW));
    assert_eq!((known.first_refusal, known.accepted.samples), (None, 1000));
    assert!(store.metrics().samples_refused(RefusalReason::TooManySeries) > 0);
}

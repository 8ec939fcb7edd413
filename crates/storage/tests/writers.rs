//! What a writer's stamps, tenant and limits do to what is stored and found.

#![allow(clippy::unwrap_used)] // a panic is the failure report

mod support;

use metricstor_model::{Matcher, SeriesSet, TENANT_LABEL, TimeRange};
use metricstor_storage::{RefusalReason, Writer};
use support::{NOW, Row, everything, open, write, write_as};

fn row(labels: &str, value: f64) -> Row {
    (labels.to_owned(), NOW, value)
}

fn stamping(name: &str, value: &str) -> Writer {
    Writer::new([(name.to_owned(), value.to_owned())].into(), None, None)
}

#[test]
fn the_same_bytes_from_differently_stamped_writers_are_different_series() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (a, b) = (stamping("instance", "a"), stamping("instance", "b"));
    // Twice: the second time the bytes are recognised.
    for value in [1.0, 1.0] {
        write_as(&a, &store, &[row("__name__=up,instance=forged", value)]).unwrap();
        write_as(&b, &store, &[row("__name__=up,instance=forged", value + 1.0)]).unwrap();
        write(&store, &[row("__name__=up,instance=forged", value + 2.0)]).unwrap();
    }
    let found: Vec<(String, f64)> =
        everything(&store).into_iter().map(|((l, _), v)| (l, f64::from_bits(v))).collect();
    let expected = [("a", 1.0), ("b", 2.0), ("forged", 3.0)];
    assert_eq!(found, expected.map(|(i, v)| (format!("__name__=up,instance={i}"), v)));
}

#[test]
fn a_tenant_is_found_by_its_label_and_names_are_cheap_without_tenants() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    write(&store, &[row("__name__=common,job=x", 1.0)]).unwrap();
    let common = [vec![Matcher::equal(TENANT_LABEL, "")]];
    assert!(!store.has_label(TENANT_LABEL));
    assert_eq!(store.label_names(&common, TimeRange::ALL).unwrap(), ["__name__", "job"]);
    let shop = stamping(TENANT_LABEL, "shop");
    write_as(&shop, &store, &[row("__name__=theirs,till=1", 1.0)]).unwrap();
    assert_eq!(store.label_names(&common, TimeRange::ALL).unwrap(), ["__name__", "job"]);
    assert_eq!(
        store.label_values("__name__", &common, TimeRange::ALL, usize::MAX).unwrap(),
        ["common"]
    );
    assert_eq!(store.select(&common[0]).unwrap().len(), 1);
    let forged = row(&format!("__name__=up,{TENANT_LABEL}=shop"), 1.0);
    let outcome = write(&store, &[forged]).unwrap();
    let refusal = outcome.first_refusal.unwrap();
    assert_eq!(refusal.reason, RefusalReason::InvalidLabels, "{refusal}");
}

#[test]
fn beyond_its_limit_a_writer_makes_no_series_and_keeps_those_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let writer = Writer::new(Default::default(), None, Some(2));
    let rows: Vec<Row> = (0..3).map(|i| row(&format!("__name__=m{i}"), 1.0)).collect();
    let outcome = write_as(&writer, &store, &rows).unwrap();
    assert_eq!((outcome.accepted.samples, outcome.refused.samples), (2, 1));
    assert_eq!(outcome.first_refusal.unwrap().reason, RefusalReason::SenderSeriesLimit);
    assert_eq!(store.statistics().series, 2);
    // What others may write is not affected; and known bytes do not get around the limit.
    assert_eq!(write(&store, &rows).unwrap().accepted.samples, 3);
    assert_eq!(write_as(&writer, &store, &rows).unwrap().refused.samples, 1);
}

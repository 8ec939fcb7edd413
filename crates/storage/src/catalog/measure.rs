//! Figures for a million series, node_exporter-like: printed, not judged.
//!
//! `cargo test --release -p metricstor-storage --lib measure -- --ignored --nocapture`

use std::hint::black_box;
use std::time::Instant;

use metricstor_model::{Labels, MatchOp, Matcher, SeriesId};

use super::{Catalog, tests};
use crate::index::Index;

const TARGETS: usize = 1412;
const SERIES_PER_TARGET: usize = 708;

fn labels(target: usize, i: usize) -> Labels {
    let (dc, metric) = (target % 4 + 1, i % 354);
    let mut pairs = vec![
        ("__name__", format!("node_subsystem{}_measured_thing_{metric}_total", metric % 30)),
        ("dc", format!("dc{dc}")),
        ("instance", format!("node-{target:04}.dc{dc}.example.net:9100")),
        ("job", "node".to_owned()),
    ];
    match i % 3 {
        0 => pairs.push(("device", format!("eth{}", i / 354))),
        1 => pairs.extend([("cpu", format!("{}", i % 8)), ("mode", format!("mode{}", i / 354))]),
        _ => pairs.push(("le", format!("{}.5", i / 354))),
    }
    Labels::from_pairs(pairs).unwrap()
}

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn timed<T>(what: &str, n: usize, mut run: impl FnMut() -> T) -> T {
    let start = Instant::now();
    let out = run();
    let all = start.elapsed();
    println!("{what:44} {all:>10.1?} {:>9.1} ns each", all.as_nanos() as f64 / n as f64);
    out
}

#[test]
#[ignore = "prints figures"]
fn a_million_series() {
    let all: Vec<(SeriesId, Labels)> = (0..TARGETS * SERIES_PER_TARGET)
        .map(|i| labels(i / SERIES_PER_TARGET, i % SERIES_PER_TARGET))
        .map(|labels| (SeriesId::of("", &labels), labels))
        .collect();
    let n = all.len();
    let before = resident();
    let mut index = Index::default();
    timed("insert", n, || {
        for (id, labels) in &all {
            index.create(*id, labels.iter());
        }
    });
    report("after inserts", &index, n, before);
    timed("lookup, order of arrival", n, || {
        for (id, _) in &all {
            black_box(index.get(*id));
        }
    });
    let random = |i: usize| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % n;
    timed("lookup, random order", n, || {
        for i in 0..n {
            black_box(index.get(all[random(i)].0));
        }
    });
    timed("labels, random order", n, || {
        for i in 0..n {
            black_box(index.labels(random(i) as u32));
        }
    });
    selects(&index);

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let mut catalog = Catalog::open(&path, 0).unwrap();
    timed("publish", n, || tests::publish_all(&mut catalog, &index));
    drop(catalog);
    let bytes = path.metadata().unwrap().len();
    println!("catalog: {:.1} bytes a series", bytes as f64 / n as f64);
    drop(index);
    let before = resident();
    let catalog = Catalog::open(&path, 0).unwrap();
    let mut index = Index::default();
    timed("load", n, || index = catalog.load_series().unwrap());
    report("after a load", &index, n, before);
    selects(&index);
}

fn report(when: &str, index: &Index, n: usize, before: usize) {
    let (size, resident) = (index.size() as f64, resident().saturating_sub(before) as f64);
    let n = n as f64;
    println!("{when}: {:.1} bytes a series by own account, {:.1} resident", size / n, resident / n);
}

fn selects(index: &Index) {
    let name = "node_subsystem7_measured_thing_7_total";
    let list = (0..1000).map(|i| format!(r"node-{i:04}\.dc{}\.example\.net:9100", i % 4 + 1));
    let list = list.collect::<Vec<_>>().join("|");
    let m = |op, name: &str, value: &str| Matcher::new(op, name, value).unwrap();
    let equal = |name: &str, value: &str| Matcher::equal(name, value);
    let regex = |name: &str, value: &str| m(MatchOp::Regex, name, value);
    let metric = || equal("__name__", name);
    let one = equal("instance", "node-0777.dc2.example.net:9100");
    for (what, matchers) in [
        ("metric", vec![metric()]),
        ("metric, instance", vec![metric(), one.clone()]),
        ("instance", vec![one.clone()]),
        ("metric, job, dc", vec![metric(), equal("job", "node"), equal("dc", "dc1")]),
        ("metric, instance=~prefix", vec![metric(), regex("instance", "node-00.*")]),
        ("metric, instance=~.*middle.*", vec![metric(), regex("instance", ".*dc3.*")]),
        ("metric, instance=~[..]+", vec![metric(), regex("instance", "node-[0-4]+\\..+")]),
        ("metric, instance=~a thousand", vec![metric(), regex("instance", &list)]),
        ("instance=~a thousand", vec![regex("instance", &list)]),
        ("metric, mode!=mode1", vec![metric(), m(MatchOp::NotEqual, "mode", "mode1")]),
        ("metric, mode=''", vec![metric(), equal("mode", "")]),
        ("__name__=~prefix", vec![regex("__name__", "node_subsystem1.*")]),
        ("__name__=~.+", vec![regex("__name__", ".+")]),
        ("job, mode!~mode.", vec![equal("job", "node"), m(MatchOp::NotRegex, "mode", "mode.")]),
        ("instance, __name__=~.*suffix", vec![one, regex("__name__", ".*total")]),
    ] {
        let found = index.select(&matchers).len();
        timed(&format!("  {what}: {found}"), 20, || {
            for _ in 0..20 {
                black_box(index.select(&matchers));
            }
        });
    }
    timed("  (compile a thousand literals)", 1, || regex("instance", &list));
}

//! How many samples a query looks at and reads, as Prometheus counts them.

use metricstor_promql::{Engine, EngineOptions, Interrupt, QueryOptions, QueryTime, Stats};

use crate::store::Made;

const MINUTE: i64 = 60_000;

fn stats(text: &str, time: QueryTime) -> Stats {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let options = QueryOptions { per_step_stats: true, ..QueryOptions::default() };
    let source = Made { series: 3, samples: 1000 };
    let answer = engine.query_with(&source, text, time, &options, &Interrupt::new()).unwrap();
    answer.stats
}

fn steps(pairs: &[(i64, u64)]) -> Vec<u64> {
    pairs.iter().map(|(_, samples)| *samples).collect()
}

#[test]
fn a_subquery_that_is_the_whole_query_counts_what_it_looked_at() {
    let time = QueryTime::Instant(60 * MINUTE);
    for (text, samples) in [
        ("x[30m:1m]", 3 * 30),
        // Every window holds 20 samples of each series.
        ("rate(x[5m])[30m:1m]", 3 * 30 * 20),
        ("(x + x)[10m:1m]", 2 * 3 * 10),
    ] {
        let stats = stats(text, time);
        assert_eq!(stats.samples_total, samples, "{text}");
        assert_eq!(steps(&stats.samples_per_step), [samples], "{text}");
        assert_eq!(steps(&stats.samples_read_per_step), [stats.samples_read], "{text}");
    }
    // Samples that are in several windows are read once.
    assert_eq!(stats("rate(x[5m])[30m:1m]", time).samples_read, 3 * (20 + 29 * 4));
}

#[test]
fn what_a_subquery_reads_belongs_to_the_step_that_needs_it() {
    let range = |step| QueryTime::Range { start: 60 * MINUTE, end: 80 * MINUTE, step };
    let dense = stats("sum_over_time(x[10m:1m])", range(5 * MINUTE));
    assert_eq!(steps(&dense.samples_per_step), [30; 5]);
    assert_eq!(steps(&dense.samples_read_per_step), [30, 15, 15, 15, 15]);
    assert_eq!(dense.samples_read, 90);
    // What lies between the windows is not needed.
    let sparse = stats("sum_over_time(x[3m:1m] offset 7m)", range(10 * MINUTE));
    assert_eq!(steps(&sparse.samples_read_per_step), [9, 9, 9]);
    assert_eq!(sparse.samples_read, 27);
    let nested = stats("max_over_time(sum_over_time(x[2m:1m])[4m:2m])", range(10 * MINUTE));
    assert_eq!(steps(&nested.samples_per_step), [6, 6, 6]);
    assert_eq!(steps(&nested.samples_read_per_step), [12, 12, 12]);
}

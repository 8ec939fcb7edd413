//! Hostile queries: each is refused or answered inside its limits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use metricstor_memory::Budget;
use metricstor_promql::{
    Answer, Engine, EngineOptions, Interrupt, QueryError, QueryOptions, QueryTime, Value,
};

use crate::store::{Histograms, INTERVAL, Made};

/// How long a query may take to notice that its time is up, in an unoptimised build.
const NOTICE: Duration = Duration::from_secs(5);

fn ask(source: &Made, options: EngineOptions, text: &str) -> Result<Answer, QueryError> {
    let end = (source.samples - 1) * INTERVAL;
    let time = QueryTime::Range { start: 0, end, step: INTERVAL };
    Engine::new(options).unwrap().query(source, text, time, &Interrupt::new())
}

fn limit(result: Result<Answer, QueryError>) -> &'static str {
    match result {
        Err(QueryError::Limit { name, .. }) => name,
        Ok(answer) => panic!("answered after {:?}", answer.stats),
        Err(other) => panic!("{other:?}"),
    }
}

/// What the server's evaluating threads have is four times that.
fn on_stack_of_8_mib(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(work).unwrap();
    thread.join().expect("no panic and no overflow");
}

#[test]
fn the_deepest_allowed_queries_are_evaluated_without_exhausting_the_stack() {
    on_stack_of_8_mib(|| {
        let source = Made { series: 2, samples: 3 };
        for (open, close) in [
            ("(", ")"),
            ("-", ""),
            ("abs(", ")"),
            ("sum by (i) (", ")"),
            ("1 + ", ""),
            ("x or ", ""),
            ("label_replace(", ", 'a', 'b', 'i', '.*')"),
            ("sort(", ")"),
            ("max_over_time(", "[1m:15s])"),
            ("vector(scalar(", "))"),
            ("clamp_max(x, scalar(", "))"),
        ] {
            let deepest = (1..500)
                .rev()
                .map(|n| format!("{}x{}", open.repeat(n), close.repeat(n)))
                .find(|text| metricstor_promql::parse(text).is_ok());
            let deepest = deepest.expect("some depth is allowed");
            let answered = ask(&source, EngineOptions::default(), &deepest);
            assert!(answered.is_ok(), "{open}: {:?}", answered.err());
        }
    });
}

#[test]
fn the_regular_expressions_of_nested_label_replace_count_as_memory() {
    let source = Made { series: 2, samples: 3 };
    let options = || EngineOptions { memory_max: 16 << 20, ..EngineOptions::default() };
    let nested = |depth: usize| {
        let close = r#", "a", "$1", "i", "((?i:\\pL){150}).*")"#;
        format!("{}x{}", "label_replace(".repeat(depth), close.repeat(depth))
    };
    assert!(ask(&source, options(), &nested(1)).is_ok());
    assert_eq!(limit(ask(&source, options(), &nested(60))), "memory_max");
}

#[test]
fn a_query_notices_inside_one_long_series_that_its_time_is_up() {
    let source = Made { series: 1, samples: 10_000 };
    // Functions that look at every window anew.
    for text in ["double_exponential_smoothing(x[30h], 0.5, 0.5)", "ts_of_max_over_time(x[30h])"] {
        let interrupt = Interrupt::new();
        let stop = interrupt.clone();
        let timer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            stop.time_out();
        });
        let end = (source.samples - 1) * INTERVAL;
        let time = QueryTime::Range { start: 0, end, step: INTERVAL };
        let begun = Instant::now();
        let engine = Engine::new(EngineOptions::default()).unwrap();
        assert_eq!(engine.query(&source, text, time, &interrupt), Err(QueryError::Timeout));
        assert!(begun.elapsed() < NOTICE, "{text}: {:?}", begun.elapsed());
        timer.join().unwrap();
    }
}

#[test]
fn the_samples_of_a_window_count_with_what_a_function_makes_of_them() {
    let source = Made { series: 1, samples: 20_000 };
    let end = (source.samples - 1) * INTERVAL;
    // A few steps: their results are nothing beside the samples.
    let time = QueryTime::Range { start: end - 40 * INTERVAL, end, step: INTERVAL };
    let ask = |text: &str, memory_max| {
        let options = EngineOptions { memory_max, ..EngineOptions::default() };
        Engine::new(options).unwrap().query(&source, text, time, &Interrupt::new())
    };
    for (text, bytes_per_sample) in [
        ("rate(x[90h])", 32),
        ("sum_over_time(x[90h])", 48),
        ("quantile_over_time(0.5, x[90h])", 64),
        ("deriv(x[90h])", 100),
        ("deriv((x)[90h:15s])", 100),
    ] {
        let samples = 19_000 * bytes_per_sample;
        assert_eq!(limit(ask(text, samples)), "memory_max", "{text}");
        assert!(ask(text, 2 * samples).is_ok(), "{text}");
    }
}

#[test]
fn the_histograms_of_a_series_count_with_their_buckets() {
    let source = Histograms { samples: 4000, buckets: 150 };
    let time = QueryTime::Instant(3999 * INTERVAL);
    for text in ["histogram_count(rate(h[90h]))", "max_over_time((h)[90h:15s]) or count(h)"] {
        let ask = |memory_max| {
            let options = EngineOptions { memory_max, ..EngineOptions::default() };
            Engine::new(options).unwrap().query(&source, text, time, &Interrupt::new())
        };
        let bytes = 4000 * 150 * 8;
        assert_eq!(limit(ask(bytes)), "memory_max", "{text}");
        assert!(ask(4 * bytes).is_ok(), "{text}");
    }
}

#[test]
fn sides_that_pair_in_turns_cost_no_more_than_both_together() {
    let source = Made { series: 6000, samples: 40 };
    let begun = Instant::now();
    for (text, series) in [("x and on (half) x", 6000), ("x unless on (half) x", 0)] {
        let answer = ask(&source, EngineOptions::default(), text).unwrap();
        assert!(matches!(answer.value, Value::Matrix(all) if all.len() == series), "{text}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn labels_do_not_grow_without_bound() {
    let source = Made { series: 100, samples: 2 };
    let doubled = |n: usize| {
        format!("{}x{}", "label_join(".repeat(n), ", 'a', 'xxxxxxxx', 'a', 'a')".repeat(n))
    };
    assert!(ask(&source, EngineOptions::default(), &doubled(8)).is_ok());
    assert_eq!(limit(ask(&source, EngineOptions::default(), &doubled(60))), "label_value_max");
    let long = "$1".repeat(10_000);
    let text = format!("label_replace(x, 'a', '{long}', 'i', '(.*)')");
    let begun = Instant::now();
    assert!(ask(&source, EngineOptions::default(), &text).is_ok());
    let text = format!("label_replace({text}, 'b', '{long}', 'a', '(.*)')");
    assert_eq!(limit(ask(&source, EngineOptions::default(), &text)), "label_value_max");
    assert!(begun.elapsed() < NOTICE);
    let small = EngineOptions { memory_max: 1 << 20, ..EngineOptions::default() };
    let text = format!("label_replace(x, 'a', '{}', '', '')", "y".repeat(30_000));
    assert_eq!(limit(ask(&source, small, &text)), "memory_max");
}

#[test]
fn what_a_query_holds_is_counted_wherever_it_holds_it() {
    let source = Made { series: 500, samples: 200 };
    let small = EngineOptions { memory_max: 1 << 19, ..EngineOptions::default() };
    for text in [
        "x",
        "topk(1000000000, x)",
        "limitk(1000000000, x)",
        "count_values('v', x)",
        "sum by (i) (x)",
        "quantile by (i) (0.5, x)",
        "max_over_time(x[10m:1s])",
        "max_over_time(vector(time())[10y:1m])",
        "x * on (half) group_left sum by (half) (x)",
        "sort(x) or x",
        "histogram_quantile(0.5, x)",
        "absent(x)",
    ] {
        assert_eq!(limit(ask(&source, small.clone(), text)), "memory_max", "{text}");
    }
    // A million samples are read, but only one run of series at a time is held.
    assert!(ask(&source, small.clone(), "sum(rate(x[5m]))").is_ok());
    let time = QueryTime::Instant(199 * INTERVAL);
    let engine = Engine::new(small).unwrap();
    let matrix = engine.query(&source, "x[1h]", time, &Interrupt::new());
    assert_eq!(limit(matrix), "memory_max");
}

#[test]
fn samples_and_series_have_limits_of_their_own() {
    let source = Made { series: 500, samples: 200 };
    let few = EngineOptions { samples_max: 10_000, ..EngineOptions::default() };
    for text in ["x", "rate(x[5m])", "x + x", "max_over_time(x[5m:15s])"] {
        assert_eq!(limit(ask(&source, few.clone(), text)), "samples_max", "{text}");
    }
    let few = EngineOptions { series_max: 499, ..EngineOptions::default() };
    assert_eq!(limit(ask(&source, few, "count(x)")), "series_max");
}

#[test]
fn quantiles_that_change_with_the_steps_count_with_all_their_series() {
    let source = Made { series: 20, samples: 200 };
    let ask = |memory_max| {
        let mut options = EngineOptions { memory_max, ..EngineOptions::default() };
        options.syntax.experimental = true;
        // Another quantile at every step.
        let text = "histogram_quantiles(label_replace(x, 'le', '+Inf', '', ''), 'q', time() / 1e9)";
        ask(&source, options, text)
    };
    let cells = 20 * 200 * 200 * 8;
    assert_eq!(limit(ask(cells)), "memory_max");
    assert!(ask(2 * cells).is_ok());
}

/// What is told to be little work is done where requests are read.
#[test]
fn windows_that_are_looked_at_again_and_again_are_no_little_work() {
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let minute = 60_000;
    let effort = |text: &str, steps: i64| {
        let expr = engine.parse(text).unwrap();
        let time = QueryTime::Range { start: 0, end: (steps - 1) * minute, step: minute };
        engine.effort(&expr, time, &QueryOptions::default(), |_| 1)
    };
    assert!(effort("rate(x[5m])", 60) < 1500);
    // Eleven thousand histograms, four thousand times.
    assert!(effort("rate(x[2d])", 4000) > 1 << 20);
    assert!(effort("x", 1000) < 1 << 15);
}

#[test]
fn no_time_or_duration_is_too_large_to_compute_with() {
    let source = Made { series: 2, samples: 200 };
    let mut options = EngineOptions { threads: 2, samples_max: 1000, ..EngineOptions::default() };
    options.syntax.experimental = true;
    let engine = Engine::new(options).unwrap();
    let end = 1 << 53;
    for time in [
        QueryTime::Instant(end),
        QueryTime::Instant(-end),
        QueryTime::Instant(i64::MAX),
        QueryTime::Instant(i64::MIN),
        QueryTime::Range { start: -end, end, step: end / 3 },
        QueryTime::Range { start: i64::MIN, end: i64::MAX, step: i64::MAX / 2 },
        QueryTime::Range { start: i64::MAX - 5, end: i64::MAX, step: 1 },
        QueryTime::Range { start: 0, end: 600_000, step: i64::MAX },
    ] {
        for text in distant() {
            for lookback_ms in [None, Some(i64::MAX / 1_000_000)] {
                let options = QueryOptions { lookback_ms, ..QueryOptions::default() };
                let result = engine.query_with(&source, &text, time, &options, &Interrupt::new());
                assert!(!matches!(result, Err(QueryError::Parse(_))), "{text}: {result:?}");
            }
        }
    }
}

/// Queries that look far away.
fn distant() -> Vec<String> {
    let mut texts = vec!["year()".to_owned(), "minute(vector(-1e300))".to_owned()];
    for modifier in ["", "@ 9e15", "@ -9e15", "offset 290y", "offset -290y", "@ end() offset 290y"]
    {
        texts.push(format!("timestamp(x {modifier}) + hour(x {modifier})"));
        texts.push(format!("x {modifier} + time() + range() + step() + end()"));
        for range in ["290y", "1ms", "290y:145y", "range()", "1ms:290y"] {
            texts.push(format!("rate(x[{range}] {modifier})"));
            texts.push(format!("ts_of_last_over_time(x[{range}] {modifier})"));
            texts.push(format!("predict_linear(x[{range}] {modifier}, 1e300)"));
            texts.push(format!("deriv((rate(x[{range}] {modifier}))[290y:290y] {modifier})"));
        }
        texts.push(format!("rate(x[290y] smoothed {modifier})"));
        texts.push(format!("rate(x[290y] anchored {modifier})"));
    }
    texts
}

#[test]
fn an_answer_counts_as_memory_until_nobody_has_it() {
    let source = Made { series: 50, samples: 200 };
    let memory = Budget::new(64 << 20);
    let options = EngineOptions { memory: Arc::clone(&memory), ..EngineOptions::default() };
    let engine = Engine::new(options).unwrap();
    let end = 199 * INTERVAL;
    let range = QueryTime::Range { start: 0, end, step: INTERVAL };
    for (text, time, bytes) in [
        ("x", range, 50 * 200 * 16),
        ("x[1h]", QueryTime::Instant(end), 50 * 200 * 16),
        ("x[1h:15s]", QueryTime::Instant(end), 50 * 200 * 16),
        ("x", QueryTime::Instant(end), 50 * 48),
    ] {
        let answer = engine.query(&source, text, time, &Interrupt::new()).unwrap();
        let held = memory.held();
        assert!((bytes..3 * bytes + 10_000).contains(&held), "{text}: {held}");
        let copy = answer.clone();
        drop(answer);
        assert_eq!(memory.held(), held, "{text}");
        drop(copy);
        assert_eq!(memory.held(), 0, "{text}");
    }
}

#[test]
fn the_labels_of_groups_count_as_memory() {
    let source = Made { series: 5000, samples: 2 };
    for text in [
        "sum by (i) (x)",
        "max without (half) (x)",
        "count by (i) (x + 0 or x)",
        "quantile by (i) (0.5, x)",
        "limitk by (i) (1, x)",
    ] {
        let ask = |memory_max| {
            let options = EngineOptions { memory_max, ..EngineOptions::default() };
            let (engine, time) = (Engine::new(options).unwrap(), QueryTime::Instant(INTERVAL));
            engine.query(&source, text, time, &Interrupt::new())
        };
        // Each of 5,000 takes some 200 bytes, beside the cells.
        assert_eq!(limit(ask(1_000_000)), "memory_max", "{text}");
        assert!(ask(4_000_000).is_ok(), "{text}");
    }
}

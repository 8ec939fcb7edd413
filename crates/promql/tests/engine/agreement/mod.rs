//! One question asked in several ways has one answer: at an instant and in a range, by one thread and by
//! several, of stored samples and of computed ones.
//!
//! `METRICSTOR_AGREEMENT=5000` asks that many random questions.

mod mixed;
mod questions;
mod table;

use metricstor_model::{Labels, Samples};
use metricstor_promql::{
    Answer, Engine, EngineOptions, Interrupt, QueryError, QueryOptions, QueryTime, Value,
};

use mixed::{INTERVAL, Mixed, Random, SAMPLES, START, STEP, STEPS, samples};
use questions::{aggregation, over_range, selector, vector};
use table::{Table, difference, table};

fn engine(threads: usize) -> Engine {
    let mut options = EngineOptions { threads, ..EngineOptions::default() };
    options.syntax.experimental = true;
    Engine::new(options).unwrap()
}

const RANGE: QueryTime =
    QueryTime::Range { start: START, end: START + (STEPS - 1) * STEP, step: STEP };

fn ask(engine: &Engine, source: &Mixed, text: &str, time: QueryTime) -> Result<Answer, QueryError> {
    let options = QueryOptions { per_step_stats: true, ..QueryOptions::default() };
    engine.query_with(source, text, time, &options, &Interrupt::new())
}

fn rounds(usual: u64) -> u64 {
    let asked = std::env::var("METRICSTOR_AGREEMENT").ok();
    asked.map_or(usual, |rounds| rounds.parse().expect("a number"))
}

/// Compares a range with the instants of its steps; the statistics, too.
fn check_instants(engine: &Engine, source: &Mixed, text: &str) -> Result<(), String> {
    let range = ask(engine, source, text, RANGE);
    let mut instants = Table::new();
    let mut errors = Vec::new();
    let mut samples = Vec::new();
    for step in 0..STEPS {
        let time = START + step * STEP;
        match ask(engine, source, text, QueryTime::Instant(time)) {
            Ok(answer) => {
                samples.push((time, answer.stats.samples_total));
                instants.extend(table(&answer));
            }
            Err(error) => errors.push(error),
        }
    }
    match (range, errors.first()) {
        (Ok(range), None) => {
            if let Some(difference) = difference(&table(&range), &instants) {
                return Err(difference);
            }
            if range.stats.samples_per_step != samples {
                return Err(format!("{:?} and {samples:?}", range.stats.samples_per_step));
            }
            let total = samples.iter().map(|(_, n)| n).sum::<u64>();
            if range.stats.samples_total != total {
                return Err(format!("{} and {total}", range.stats.samples_total));
            }
            Ok(())
        }
        // What has to be refused may differ: series are united in a range only.
        _ => Ok(()),
    }
}

#[test]
fn a_range_has_the_answers_of_its_instants() {
    let mut random = Random(0x5eed);
    let engine = engine(1);
    let mut failed = Vec::new();
    for _ in 0..rounds(150) {
        let source = Mixed::new(&mut random, 2);
        let text = vector(&mut random, 3);
        if let Err(difference) = check_instants(&engine, &source, &text) {
            failed.push(format!("{text}\n    {difference}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn several_threads_answer_as_one() {
    let mut random = Random(0x7eed);
    let source = Mixed::new(&mut random, 60);
    let (one, four) = (engine(1), engine(4));
    for _ in 0..rounds(100) {
        let text = vector(&mut random, 2);
        for time in [RANGE, QueryTime::Instant(START)] {
            let answers = [&one, &four].map(|engine| ask(engine, &source, &text, time));
            // NaN is not equal to itself.
            let said = |answer: Answer| (answer.value, answer.warnings, answer.infos, answer.stats);
            let [a, b] = answers.map(|answer| format!("{:?}", answer.map(said)));
            assert_eq!(a, b, "{text}");
        }
    }
}

/// Every series has a sample every 15 s, so a subquery that looks no farther back than a millisecond
/// sees just those.
#[test]
fn a_subquery_of_stored_samples_is_a_range_selector() {
    let mut random = Random(0x9eed);
    let mut options = EngineOptions { lookback_ms: 1, ..EngineOptions::default() };
    options.syntax.experimental = true;
    let engine = Engine::new(options).unwrap();
    let mut failed = Vec::new();
    for _ in 0..rounds(150) {
        let source = Mixed::new(&mut random, 2);
        let call = over_range(&mut random, 0);
        let Some((before, after)) = call.split_once(']') else { continue };
        // Absence has the labels of a selector only, and names do not stay inside a subquery.
        if call.contains(':') || call.contains("{__name__") || call.starts_with("absent") {
            continue;
        }
        let subquery = format!("{before}:15s]{after}");
        let answers = [call.as_str(), &subquery].map(|text| ask(&engine, &source, text, RANGE));
        match answers {
            [Ok(a), Ok(b)] => {
                if let Some(difference) = difference(&table(&a), &table(&b)) {
                    failed.push(format!("{call}\n    {difference}"));
                }
            }
            [a, b] if a.is_err() && b.is_err() => {}
            [a, b] => failed.push(format!("{call}\n    {:?} and {:?}", a.err(), b.err())),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Computed series by series as they are read, or from a whole vector: `or` needs one.
#[test]
fn what_is_computed_on_the_way_is_what_is_computed_afterwards() {
    let mut random = Random(0xaeed);
    let engine = engine(1);
    let mut failed = Vec::new();
    for _ in 0..rounds(150) {
        let source = Mixed::new(&mut random, 3);
        let inner = if random.below(2) == 0 {
            selector(&mut random, true)
        } else {
            over_range(&mut random, 0)
        };
        let outer = |inner: &str, random: &mut Random| {
            let whole = aggregation(random, 0);
            let at = whole.rfind('(').unwrap() + 1;
            let comma = whole[at..].find(", ").map_or(at, |comma| at + comma + 2);
            let f = random.one(&["", "abs", "-", "2 * ", "histogram_count", "clamp_max"]);
            let inner = match f {
                "clamp_max" => format!("clamp_max({inner}, 40)"),
                f => format!("{f}({inner})"),
            };
            format!("{}{inner})", &whole[..comma])
        };
        let state = random.next() | 1;
        let streamed = outer(&inner, &mut Random(state));
        let whole = outer(&format!("{inner} or {inner}"), &mut Random(state));
        let answers = [&streamed, &whole].map(|text| ask(&engine, &source, text, RANGE));
        match answers {
            [Ok(a), Ok(b)] => {
                if let Some(difference) = difference(&table(&a), &table(&b)) {
                    failed.push(format!("{streamed}\n    {difference}"));
                }
            }
            [a, b] if a.is_err() && b.is_err() => {}
            [a, b] => failed.push(format!("{streamed}\n    {:?} and {:?}", a.err(), b.err())),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Sums of large numbers overflow, or do not, depending on where one begins.
#[test]
fn windows_that_overlap_overflow_as_each_alone_does() {
    let mut random = Random(0xbeed);
    let engine = engine(1);
    let mut failed = Vec::new();
    for _ in 0..rounds(100) {
        let mut samples = Samples::default();
        for n in 0..SAMPLES {
            let value = [1e308, -1e308, 1.7e308, -1.7e308, 1.0, -3e291][random.below(6) as usize];
            samples.push(n * INTERVAL, if random.below(3) > 0 { 7.0 } else { value });
        }
        let source = Mixed(vec![(Labels::from_pairs([("__name__", "x")]).unwrap(), samples)]);
        for f in [
            "sum_over_time",
            "avg_over_time",
            "stdvar_over_time",
            "stddev_over_time",
            "deriv",
            "mad_over_time",
            "max_over_time",
            "increase",
            "rate",
            "delta",
        ] {
            for range in ["12m", "10m", "2m"] {
                let text = format!("{f}(x[{range}])");
                if let Err(difference) = check_instants(&engine, &source, &text) {
                    failed.push(format!("{text}\n    {difference}"));
                }
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Type and unit get lost with the name: what they alone told apart is one series then, twice.
#[test]
fn series_that_only_their_types_tell_apart_are_not_added_up_without() {
    let mut random = Random(0xceed);
    let labels = |kind| Labels::from_pairs([("__name__", "x"), ("__type__", kind)]).unwrap();
    let series = ["counter", "gauge"].map(|kind| (labels(kind), samples(&mut random, 0, 0)));
    let source = Mixed(series.to_vec());
    let with = |type_and_unit_labels| {
        let options = EngineOptions { type_and_unit_labels, ..EngineOptions::default() };
        Engine::new(options).unwrap()
    };
    let engines = [with(true), with(false)];
    for (text, refused) in [
        ("sum(x)", false),
        ("sum by (__type__) (x)", false),
        ("sum(last_over_time(x[5m]))", false),
        ("rate(x[5m])", true),
        ("sum(rate(x[5m]))", true),
        ("topk(1, abs(x))", true),
        ("count(x * 2)", true),
        ("max(-x)", true),
    ] {
        let times = [RANGE, QueryTime::Instant(START)];
        for (engine, time) in engines.iter().flat_map(|engine| times.map(|time| (engine, time))) {
            let answer = ask(engine, &source, text, time);
            assert_eq!(answer.is_err(), refused, "{text}: {:?}", answer.err());
        }
    }
}

#[test]
fn numbers_of_native_histograms_keep_their_type() {
    let mut random = Random(0xdeed);
    let pairs = [("__name__", "h"), ("__type__", "histogram"), ("__unit__", "s")];
    let labels = Labels::from_pairs(pairs).unwrap();
    let source = Mixed(vec![(labels, samples(&mut random, 0, 4))]);
    let kept = Labels::from_pairs([pairs[1], pairs[2]]).unwrap();
    for (text, expected) in [
        ("histogram_count(h)", &kept),
        ("histogram_sum(h or h)", &kept),
        ("max by (__type__, __name__, __unit__) (histogram_avg(h))", &kept),
        ("histogram_stddev(h) * 2", &Labels::empty()),
        ("histogram_count(rate(h[5m]))", &Labels::empty()),
        ("histogram_quantile(0.5, h)", &Labels::empty()),
    ] {
        let answer = ask(&engine(1), &source, text, RANGE).unwrap();
        let Value::Matrix(series) = answer.value else { panic!("a matrix") };
        assert_eq!(series.len(), 1, "{text}");
        assert_eq!(&series[0].labels, expected, "{text}");
    }
}

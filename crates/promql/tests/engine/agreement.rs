//! One question asked in several ways has one answer: at an instant and in a range, by one thread and by
//! several, of stored samples and of computed ones.
//!
//! `METRICSTOR_AGREEMENT=5000` asks that many random questions.

use std::collections::BTreeMap;
use std::sync::Arc;

use metricstor_model::{
    FloatHistogram, Labels, Matcher, STALE_NAN, Samples, SelectError, SeriesSet, Span, TimeRange,
};
use metricstor_promql::{
    Answer, Engine, EngineOptions, Hints, Interrupt, QueryError, QueryOptions, QueryTime,
    SampleValue, Source, Value,
};

const INTERVAL: i64 = 15_000;
const SAMPLES: i64 = 120;
const START: i64 = 600_000;
const STEP: i64 = 30_000;
const STEPS: i64 = 24;

/// Numbers that look random, the same for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

/// Series with gaps and every sort of sample.
struct Mixed(Vec<(Labels, Samples)>);

impl Mixed {
    fn new(random: &mut Random, copies: u64) -> Self {
        let mut series = BTreeMap::new();
        for copy in 0..copies {
            for (name, odd, histograms) in
                [("a_total", 0, 0), ("b", 3, 0), ("h", 0, 4), ("m", 2, 2), ("x_bucket", 0, 0)]
            {
                for (job, le) in [("p", "0.5"), ("p", "+Inf"), ("q", "2"), ("q", "+Inf")] {
                    let mut pairs = vec![("__name__", name), ("job", job), ("le", le)];
                    let copy = copy.to_string();
                    pairs.push(("copy", &copy));
                    let labels = Labels::from_pairs(pairs).unwrap();
                    series.insert(labels, samples(random, odd, histograms));
                }
            }
        }
        Self(series.into_iter().collect())
    }
}

/// Of four samples, so many are odd or histograms.
fn samples(random: &mut Random, odd: u64, histograms: u64) -> Samples {
    let mut samples = Samples::default();
    let mut count = 0.0;
    for n in 0..SAMPLES {
        // Some scrapes fail, and some for a while.
        if random.below(8) == 0 || (n / 30 == 2 && random.below(3) > 0) {
            continue;
        }
        if random.below(20) == 0 {
            count = 0.0;
        }
        count += random.below(100) as f64;
        if random.below(4) < histograms {
            samples.push_histogram(n * INTERVAL, Arc::new(histogram(random, count)));
            continue;
        }
        let value = match random.below(16) {
            0..8 => f64::NAN,
            8..11 => f64::INFINITY,
            11 => f64::NEG_INFINITY,
            12 => f64::from_bits(STALE_NAN),
            13 => -0.0,
            14 => 0.0,
            _ => -1e3,
        };
        let is_odd = random.below(16) < odd;
        let stale = random.below(40) == 0;
        let value = if stale {
            f64::from_bits(STALE_NAN)
        } else if is_odd {
            value
        } else {
            count
        };
        samples.push(n * INTERVAL, value);
    }
    samples
}

fn histogram(random: &mut Random, count: f64) -> FloatHistogram {
    let custom = random.below(12) == 0;
    let sum = if random.below(30) == 0 { f64::from_bits(STALE_NAN) } else { count * 1.5 };
    FloatHistogram {
        schema: if custom { -53 } else { random.below(3) as i32 },
        count: count + 3.0,
        sum,
        zero_threshold: if custom { 0.0 } else { 0.001 },
        zero_count: if custom { 0.0 } else { 1.0 },
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![count, if custom { 3.0 } else { 2.0 }],
        custom_values: if custom { vec![1.0] } else { Vec::new() },
        ..FloatHistogram::default()
    }
}

impl Source for Mixed {
    fn select(
        &self,
        matchers: &[Matcher],
        _range: TimeRange,
        _hints: &Hints,
    ) -> Result<Arc<dyn SeriesSet>, SelectError> {
        let matching = self.0.iter().filter(|(labels, _)| {
            matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
        });
        Ok(Arc::new(Selected(matching.cloned().collect())))
    }
}

struct Selected(Vec<(Labels, Samples)>);

impl SeriesSet for Selected {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.0[i].0.clone()
    }

    fn read(&self, i: usize, range: TimeRange, out: &mut Samples) -> Result<(), SelectError> {
        out.clear();
        let samples = &self.0[i].1;
        let start = samples.timestamps.partition_point(|t| *t < range.start);
        let end = samples.timestamps.partition_point(|t| *t <= range.end);
        if start < end {
            out.append(samples, start..end);
        }
        Ok(())
    }
}

/// A random expression of instant vectors.
fn vector(random: &mut Random, depth: u32) -> String {
    if depth == 0 {
        return selector(random, true);
    }
    let depth = depth - 1;
    match random.below(12) {
        0 => selector(random, true),
        1..4 => over_range(random, depth),
        4..7 => aggregation(random, depth),
        7 => {
            let (a, b) = (vector(random, depth), vector(random, depth));
            let op = random.one(&[
                "+",
                "*",
                "==",
                "> bool",
                "/",
                "-",
                "and",
                "or",
                "unless",
                "< on (copy, job, le)",
                "+ on (copy, job, le)",
                "* on (copy, job, le) group_left ()",
                "or on (job)",
            ]);
            format!("({a} {op} {b})")
        }
        8 => {
            let (a, op) =
                (vector(random, depth), random.one(&["+", "*", ">", "/", "<= bool", "^"]));
            let scalar = random.one(&["2", "0.5", "-1", "time()", "scalar(a_total)", "NaN", "Inf"]);
            format!("({a} {op} {scalar})")
        }
        9 => {
            let f = random.one(&[
                "abs",
                "-",
                "ceil",
                "sqrt",
                "timestamp",
                "histogram_count",
                "histogram_sum",
                "histogram_avg",
                "hour",
                "sgn",
                "round",
                "absent",
                "histogram_stddev",
                "sort",
                "ln",
            ]);
            format!("{f}({})", vector(random, depth))
        }
        10 => {
            let a = vector(random, depth);
            match random.below(6) {
                0 => format!("histogram_quantile(0.9, {a})"),
                1 => format!("histogram_fraction(0, 1, {a})"),
                2 => format!("label_replace({a}, 'z', '$1', 'job', '(.*)')"),
                3 => format!("clamp({a}, 5, 50)"),
                4 => format!("label_join({a}, 'z', '-', 'job', 'le')"),
                _ => format!("vector(scalar({a}))"),
            }
        }
        _ => format!("({})", vector(random, depth)),
    }
}

fn selector(random: &mut Random, at: bool) -> String {
    let of = random.one(&[
        "a_total",
        "b",
        "h",
        "m",
        "x_bucket",
        "a_total{job='p'}",
        "{__name__=~'a_total|b'}",
        "m{le='+Inf'}",
        "{__name__=~'[hm]'}",
        "b{copy='1'}",
    ]);
    let modifier = random.one(&["", "", "", "", "", " offset 1m", " offset -45s", " @ 900"]);
    format!("{of}{}", if at { modifier } else { "" })
}

fn over_range(random: &mut Random, depth: u32) -> String {
    let f = random.one(&[
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "resets",
        "changes",
        "count_over_time",
        "present_over_time",
        "sum_over_time",
        "avg_over_time",
        "max_over_time",
        "min_over_time",
        "last_over_time",
        "first_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "quantile_over_time(0.7, ",
        "mad_over_time",
        "deriv",
        "predict_linear",
        "absent_over_time",
        "ts_of_max_over_time",
        "ts_of_last_over_time",
        "double_exponential_smoothing",
    ]);
    let open = if f.ends_with(' ') { "" } else { "(" };
    let close = match f {
        "predict_linear" => ", 60)",
        "double_exponential_smoothing" => ", 0.5, 0.5)",
        _ => ")",
    };
    let range = random.one(&["1m", "15s", "5m", "2m", "12m", "10s"]);
    let modifier = random.one(&["", "", "", "", " offset 30s", " @ 1000"]);
    if random.below(3) > 0 {
        return format!("{f}{open}{}[{range}]{modifier}{close}", selector(random, false));
    }
    let step = random.one(&["15s", "1m", "7s"]);
    format!("{f}{open}({})[{range}:{step}]{modifier}{close}", vector(random, depth))
}

fn aggregation(random: &mut Random, depth: u32) -> String {
    let op = random.one(&[
        "sum",
        "avg",
        "min",
        "max",
        "count",
        "group",
        "stddev",
        "stdvar",
        "quantile",
        "topk",
        "bottomk",
        "limitk",
        "limit_ratio",
        "count_values",
    ]);
    let by = random.one(&["", "by (job)", "by (job, le)", "without (copy)", "without (job)"]);
    // Which of equals are chosen depends on their order, and that of computed ones on all steps.
    let depth = if matches!(op, "topk" | "bottomk" | "limitk") { 0 } else { depth };
    let param = match op {
        "quantile" => "0.4, ",
        "topk" | "bottomk" | "limitk" => "3, ",
        "limit_ratio" => "0.5, ",
        "count_values" => "'v', ",
        _ => "",
    };
    format!("{op} {by} ({param}{})", vector(random, depth))
}

fn engine(threads: usize) -> Engine {
    let mut options = EngineOptions { threads, ..EngineOptions::default() };
    options.syntax.experimental = true;
    Engine::new(options).unwrap()
}

/// What stands at each time, by labels.
type Table = BTreeMap<(i64, Labels), Cell>;

#[derive(Debug, Clone)]
enum Cell {
    Float(f64),
    Histogram(Arc<FloatHistogram>),
}

impl Cell {
    /// To the last bits but a few: sums are added up in another order.
    fn is_near(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => near(*a, *b),
            (Self::Histogram(a), Self::Histogram(b)) => {
                near(a.count, b.count)
                    && near(a.sum, b.sum)
                    && a.schema == b.schema
                    && a.counter_reset_hint == b.counter_reset_hint
            }
            _ => false,
        }
    }
}

fn near(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3)
}

fn table(answer: &Answer) -> Table {
    let mut table = Table::new();
    match &answer.value {
        Value::Matrix(series) => {
            for one in series {
                let floats = one.floats.iter().map(|(t, v)| (*t, Cell::Float(*v)));
                let histograms =
                    one.histograms.iter().map(|(t, h)| (*t, Cell::Histogram(Arc::clone(h))));
                for (t, cell) in floats.chain(histograms) {
                    assert!(table.insert((t, one.labels.clone()), cell).is_none());
                }
            }
        }
        Value::Vector(samples) => {
            for one in samples {
                let cell = match &one.sample {
                    SampleValue::Float(v) => Cell::Float(*v),
                    SampleValue::Histogram(h) => Cell::Histogram(Arc::clone(h)),
                };
                assert!(table.insert((one.timestamp, one.labels.clone()), cell).is_none());
            }
        }
        other => panic!("{other:?}"),
    }
    table
}

fn difference(a: &Table, b: &Table) -> Option<String> {
    let keys = a.keys().chain(b.keys());
    let differs = |key: &&(i64, Labels)| match (a.get(*key), b.get(*key)) {
        (Some(a), Some(b)) => !a.is_near(b),
        _ => true,
    };
    let key = keys.into_iter().find(differs)?;
    Some(format!("at {} {}: {:?} and {:?}", key.0, key.1, a.get(key), b.get(key)))
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
    let options = EngineOptions { type_and_unit_labels: true, ..EngineOptions::default() };
    let engine = Engine::new(options).unwrap();
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
        for time in [RANGE, QueryTime::Instant(START)] {
            let answer = ask(&engine, &source, text, time);
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

//! What is asked and written, by a seed.

use metricstor_model::{MatchOp, Matcher, STALE_NAN, TimeRange};

use super::map::{Row, Value, value_of};
use super::support::NOW;

/// Between two samples.
pub const STEP: i64 = 15_000;
pub const LABELS: [&str; 5] = ["__name__", "i", "pod", "zone", "none"];
const TEXTS: [&str; 12] =
    ["", "m0", "m1", "3", "10", "p1", "p40", "p77", "eu-1", "us-1", "us-22", "absent"];
#[rustfmt::skip]
const PATTERNS: [&str; 20] = [
    "", ".*", ".+", "m0|m1", "m1|", "m[12]", "m.*", "[0-9]", "1.*", "p1.*", "p(4|5)0", "p.*7",
    "(p1.*)?", "p[0-9]{2}", "eu-.*", "eu-1|us-1", ".*-1", "us-2*", "none.*", ".?",
];

/// Small and seeded, so that a failing seed fails again.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
    }

    pub fn one_of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len() as u64) as usize]
    }

    /// In the last thirty hours.
    fn time(&mut self) -> i64 {
        NOW - (1 + self.below(7_000) as i64) * STEP
    }

    pub fn range(&mut self) -> TimeRange {
        match self.below(4) {
            0 => TimeRange::ALL,
            _ => TimeRange::new(self.time(), self.time() + self.below(2_000) as i64 * STEP),
        }
    }

    pub fn matchers(&mut self) -> Vec<Matcher> {
        (0..1 + self.below(3)).map(|_| self.matcher()).collect()
    }

    fn matcher(&mut self) -> Matcher {
        let (op, texts) = match self.below(4) {
            0 => (MatchOp::Equal, &TEXTS[..]),
            1 => (MatchOp::NotEqual, &TEXTS[..]),
            2 => (MatchOp::Regex, &PATTERNS[..]),
            _ => (MatchOp::NotRegex, &PATTERNS[..]),
        };
        Matcher::new(op, self.one_of(&LABELS), self.one_of(texts)).unwrap()
    }

    /// Samples of a few series: newer ones, late ones, repetitions, and some at odds with what is there.
    pub fn rows(&mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        for _ in 0..1 + self.below(4) {
            let i = self.below(10);
            let zone = ["eu-1", "eu-2", "us-1", "us-22"].get(i as usize % 5);
            let zone = zone.map_or(String::new(), |zone| format!(",zone={zone}"));
            let labels = format!("__name__=m{},i={i}{zone}", i % 3);
            let count = if self.below(3) == 0 { 200 + self.below(500) } else { 1 + i };
            let (start, step) = (self.time(), (1 + self.below(2) as i64) * STEP);
            let times = (0..count as i64).map(|n| start + n * step).filter(|t| *t < NOW);
            rows.extend(times.map(|t| (labels.clone(), t, value(&labels, t, self.below(50) == 0))));
        }
        rows
    }

    /// One sample of each of some series, new and old ones.
    pub fn pods(&mut self) -> Vec<Row> {
        let (first, t) = (self.below(300), self.time());
        let row = |pod| (format!("__name__=m{},pod=p{pod}", pod % 2), t, Value::Float(0));
        (first..first + 20 + self.below(100)).map(row).collect()
    }
}

/// What a series has at a time, or another value.
fn value(labels: &str, t: i64, other: bool) -> Value {
    let n = t / STEP;
    let value = match value_of(labels, "i").parse::<u64>().unwrap() % 5 {
        0 => 7.0,
        1 => (n * 7919 % 1009 - 500) as f64,
        2 => (n as f64).sin(),
        3 if n % 4_001 == 0 => f64::from_bits(STALE_NAN),
        // Zeros of both signs are the greatest.
        3 if n % 3 == 0 => -0.0,
        3 => (n % 2 - 1) as f64,
        _ if (n % 1_000 < 500) != other => return Value::Histogram(n as u64),
        _ => n as f64,
    };
    Value::Float((value + f64::from(u8::from(other))).to_bits())
}

//! Random queries that mean something: every operator, most functions, nested a few levels deep.

use crate::random::Random;
use crate::support::encode;

/// A query with the times to evaluate it at.
pub struct Question {
    pub text: String,
    times: Times,
}

/// Seconds.
#[derive(Clone)]
enum Times {
    At(String),
    Range { start: i64, end: i64, step: i64 },
}

impl Question {
    pub fn is_range(&self) -> bool {
        matches!(self.times, Times::Range { .. })
    }

    /// Milliseconds.
    pub fn start_ms(&self) -> i64 {
        match &self.times {
            Times::At(time) => (time.parse::<f64>().unwrap() * 1000.0).round() as i64,
            Times::Range { start, .. } => start * 1000,
        }
    }

    pub fn end_ms(&self) -> i64 {
        match &self.times {
            Times::At(_) => self.start_ms(),
            Times::Range { end, .. } => end * 1000,
        }
    }

    /// Another text at the same times.
    pub fn with(&self, text: &str) -> Self {
        Self { text: text.to_owned(), times: self.times.clone() }
    }

    /// A text at every step of the data that begin at `base`, in seconds.
    pub fn over_all(text: &str, base: i64) -> Self {
        let times = Times::Range { start: base - 300, end: base + 4500, step: 15 };
        Self { text: text.to_owned(), times }
    }

    /// The same at one of its times.
    pub fn at(&self, time: &str) -> Self {
        Self { text: self.text.clone(), times: Times::At(time.to_owned()) }
    }

    /// The same with its last step as its end, if it ends later.
    pub fn without_rest(&self) -> Option<Self> {
        let Times::Range { start, end, step } = self.times else { return None };
        let last = start + (end - start) / step * step;
        let times = Times::Range { start, end: last, step };
        (last < end).then(|| Self { text: self.text.clone(), times })
    }

    pub fn path(&self) -> String {
        let query = encode(&self.text);
        match &self.times {
            Times::At(time) => format!("/api/v1/query?query={query}&time={time}"),
            Times::Range { start, end, step } => {
                let times = format!("start={start}&end={end}&step={step}");
                format!("/api/v1/query_range?query={query}&{times}")
            }
        }
    }
}

pub struct Grammar {
    /// Seconds: the first sample's time.
    base: i64,
    random: Random,
}

const RANGE_FUNCTIONS: [&str; 26] = [
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "resets",
    "changes",
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "last_over_time",
    "present_over_time",
    "absent_over_time",
    "deriv",
    "mad_over_time",
    "ts_of_min_over_time",
    "ts_of_max_over_time",
    "ts_of_last_over_time",
    "quantile_over_time",
    "predict_linear",
    "double_exponential_smoothing",
    "rate",
];
const AGGREGATIONS: [&str; 14] = [
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
    "count_values",
    "limitk",
    "limit_ratio",
];
const GROUPINGS: [&str; 9] = [
    "",
    " by (inst) ",
    " by (job) ",
    " without (inst) ",
    " by (inst, job) ",
    " by (le) ",
    " without (job, le) ",
    " by (__name__) ",
    " by (inst, le) ",
];
const MATCHINGS: [&str; 9] = [
    "",
    " on (inst)",
    " ignoring (job)",
    " on (inst, job)",
    " on (inst) group_left",
    " on (inst) group_right",
    " on (inst) group_left (version)",
    " ignoring (job) group_left",
    " ignoring (version) group_left (version)",
];
const FUNCTIONS: [&str; 35] = [
    "abs",
    "ceil",
    "floor",
    "exp",
    "sqrt",
    "ln",
    "log2",
    "log10",
    "sgn",
    "deg",
    "rad",
    "sin",
    "cos",
    "atan",
    "sinh",
    "asinh",
    "timestamp",
    "histogram_count",
    "histogram_sum",
    "histogram_avg",
    "histogram_stddev",
    "histogram_stdvar",
    "hour",
    "minute",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "days_in_month",
    "month",
    "year",
    "absent",
    "sort",
    "sort_desc",
    "scalar_of",
    "info",
];

impl Grammar {
    pub fn new(base: i64, random: Random) -> Self {
        Self { base, random }
    }

    pub fn question(&mut self) -> Question {
        let depth = self.random.pick(&[1, 2, 2, 3, 3, 4]);
        let text = if self.random.percent(97) { self.vector(depth) } else { self.scalar(3) };
        let range = self.random.percent(50);
        let times = if range {
            let start = self.base + self.random.pick(&[-300, 0, 1, 600, 1800]);
            let end = start + self.random.pick(&[0, 60, 600, 1800, 3600]);
            Times::Range { start, end, step: self.random.pick(&[15, 30, 60, 47, 300]) }
        } else {
            let time = self.base + self.random.pick(&[0, 60, 600, 1800, 3599, 3900, 4200]);
            Times::At(format!("{time}{}", self.random.pick(&["", ".5", ".123"])))
        };
        Question { text, times }
    }

    fn duration(&mut self) -> &'static str {
        self.random.pick(&["15s", "1m", "2m", "5m", "7m30s", "37s", "10m", "30m"])
    }

    fn modifier(&mut self) -> String {
        let offset = self.random.pick(&["1m", "-1m", "17s", "5m", "-30s"]);
        let at = match self.random.below(6) {
            0 => "start()".to_owned(),
            1 => "end()".to_owned(),
            2 => format!("{}.5", self.base + 100),
            _ => (self.base + self.random.below(4200) as i64 - 60).to_string(),
        };
        match self.random.below(100) {
            0..75 => String::new(),
            75..85 => format!(" offset {offset}"),
            85..94 => format!(" @ {at}"),
            _ => format!(" @ {at} offset {offset}"),
        }
    }

    fn selector(&mut self) -> String {
        let mut matchers = Vec::new();
        if self.random.percent(40) {
            matchers.push(self.random.pick(&[
                "inst=\"a\"",
                "inst=~\"a|b\"",
                "inst!=\"c\"",
                "inst!~\"b.*\"",
                "inst=~\".+\"",
                "inst=\"zz\"",
            ]));
        }
        if self.random.percent(20) {
            matchers.push(self.random.pick(&[
                "job=\"x\"",
                "job!=\"x\"",
                "job=~\"x|y\"",
                "job=\"\"",
            ]));
        }
        if self.random.percent(8) {
            matchers.push(self.random.pick(&[
                "__name__=~\"c_total|d_total\"",
                "__name__=~\"g|cst\"",
                "__name__=~\"nh_total|nc_total\"",
                "__name__=~\".+_total\"",
                "__name__=~\"mix|g\"",
                "__name__=~\"h_bucket|nh_total\"",
            ]));
            return format!("{{{}}}", matchers.join(","));
        }
        let name = self.random.pick(&[
            "c_total",
            "c_total",
            "c_total",
            "d_total",
            "d_total",
            "g",
            "g",
            "g",
            "cst",
            "info_info",
            "moment",
            "h_bucket",
            "h_bucket",
            "nh_total",
            "nh_total",
            "ng",
            "nc_total",
            "mix",
            "up",
            "nonexistent",
        ]);
        if matchers.is_empty() {
            name.to_owned()
        } else {
            format!("{name}{{{}}}", matchers.join(","))
        }
    }

    fn scalar(&mut self, depth: usize) -> String {
        let constant =
            self.random.pick(&["1", "2", "0.5", "-1", "0", "NaN", "Inf", "3.7", "1e10", "-0.3"]);
        if depth == 0 {
            return constant.to_owned();
        }
        match self.random.below(20) {
            0..12 => constant.to_owned(),
            12..14 => "time()".to_owned(),
            14..17 => format!("scalar({})", self.vector(depth - 1)),
            17 => "pi()".to_owned(),
            _ => {
                let op = self.random.pick(&["+", "-", "*", "/", "%", "^"]);
                format!("({} {op} {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
        }
    }

    fn range_vector(&mut self, depth: usize) -> String {
        if depth <= 1 || self.random.percent(80) {
            return format!("{}[{}]{}", self.selector(), self.duration(), self.modifier());
        }
        let range = self.random.pick(&["1m", "5m", "10m", "30m", "1h"]);
        let step = self.random.pick(&["", "1m", "30s", "17s", "2m"]);
        format!("({})[{range}:{step}]{}", self.vector(depth - 1), self.modifier())
    }

    fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return format!("{}{}", self.selector(), self.modifier());
        }
        match self.random.below(100) {
            0..12 => format!("{}{}", self.selector(), self.modifier()),
            12..40 => self.range_function(depth),
            40..60 => self.aggregation(depth),
            60..78 => self.binary(depth),
            78..90 => self.function(depth),
            90..96 => self.quantile_of_histogram(depth),
            _ => self.relabelling(depth),
        }
    }

    fn range_function(&mut self, depth: usize) -> String {
        let function = self.random.pick(&RANGE_FUNCTIONS);
        let range = self.range_vector(depth);
        match function {
            "quantile_over_time" => format!("{function}({}, {range})", self.scalar(0)),
            "predict_linear" => format!("{function}({range}, {})", self.scalar(1)),
            "double_exponential_smoothing" => format!("{function}({range}, 0.5, 0.3)"),
            _ => format!("{function}({range})"),
        }
    }

    fn aggregation(&mut self, depth: usize) -> String {
        let op = self.random.pick(&AGGREGATIONS);
        let grouping = self.random.pick(&GROUPINGS);
        let parameter = match op {
            "quantile" => self.scalar(1),
            "topk" | "bottomk" => self.random.pick(&["1", "2", "3", "5"]).to_owned(),
            "limitk" => self.random.pick(&["1", "2", "100"]).to_owned(),
            "limit_ratio" => self.random.pick(&["0.5", "-0.5", "0.2", "-0.8", "1"]).to_owned(),
            "count_values" => "\"v\"".to_owned(),
            _ => return format!("{op}{grouping}({})", self.vector(depth - 1)),
        };
        format!("{op}{grouping}({parameter}, {})", self.vector(depth - 1))
    }

    fn binary(&mut self, depth: usize) -> String {
        let op = self.random.pick(&[
            "+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless",
            "atan2",
        ]);
        let left = format!("({})", self.vector(depth - 1));
        if matches!(op, "and" | "or" | "unless") {
            let on = ["", "", " on (inst)", " ignoring (job)", " on ()", " on (job, inst)"];
            let on = self.random.pick(&on);
            return format!("{left} {op}{on} ({})", self.vector(depth - 1));
        }
        let compares = matches!(op, "==" | "!=" | ">" | "<" | ">=" | "<=");
        let bool = if compares && self.random.percent(40) { " bool" } else { "" };
        match self.random.below(100) {
            0..30 => format!("{left} {op}{bool} {}", self.scalar(depth - 1)),
            30..45 => format!("{} {op}{bool} {left}", self.scalar(depth - 1)),
            _ => {
                let matching = self.random.pick(&MATCHINGS);
                format!("{left} {op}{bool}{matching} ({})", self.vector(depth - 1))
            }
        }
    }

    fn function(&mut self, depth: usize) -> String {
        let function = self.random.pick(&FUNCTIONS);
        let inner = self.vector(depth - 1);
        match self.random.below(10) {
            0 => format!("clamp({inner}, {}, {})", self.scalar(1), self.scalar(1)),
            1 => format!("clamp_min({inner}, {})", self.scalar(1)),
            2 => format!("clamp_max({inner}, {})", self.scalar(1)),
            3 => format!("round({inner}, {})", self.random.pick(&["0.5", "5", "0.1", "10"])),
            4 => format!("sort_by_label({inner}, \"inst\", \"job\")"),
            _ if function == "scalar_of" => format!("vector(scalar({inner}))"),
            _ if function == "info" => self
                .random
                .pick(&["info(up)", "info(rate(c_total[5m]))", "info(up, {zone=~\".+\"})"])
                .to_owned(),
            _ => format!("{function}({inner})"),
        }
    }

    fn quantile_of_histogram(&mut self, depth: usize) -> String {
        let buckets = match self.random.below(8) {
            0 => format!("rate(h_bucket[{}])", self.duration()),
            1 => "h_bucket".to_owned(),
            2 => "sum by (le) (h_bucket)".to_owned(),
            3 => "nh_total".to_owned(),
            4 => format!("rate(nh_total[{}])", self.duration()),
            5 => "nc_total".to_owned(),
            6 => "{__name__=~\"h_bucket|nh_total|nc_total\"}".to_owned(),
            _ => self.vector(depth - 1),
        };
        if self.random.percent(30) {
            let lower = self.random.pick(&["-Inf", "0", "0.3", "-2"]);
            let upper = self.random.pick(&["Inf", "1", "2", "0.5"]);
            return format!("histogram_fraction({lower}, {upper}, {buckets})");
        }
        let q = self.random.pick(&["0.5", "0.9", "0", "1", "-1", "1.2", "NaN", "0.25"]);
        format!("histogram_quantile({q}, {buckets})")
    }

    fn relabelling(&mut self, depth: usize) -> String {
        let inner = self.vector(depth - 1);
        match self.random.below(10) {
            0..4 => {
                let target = self.random.pick(&["inst", "new", "__name__", "job"]);
                let replacement = self.random.pick(&["$1", "x-$1", "", "${1}$1", "k"]);
                let source = self.random.pick(&["inst", "job", "__name__", "nope"]);
                let regex = self.random.pick(&["(.*)", "(a|b)", ".*", "(.)(.*)"]);
                format!(
                    "label_replace({inner}, \"{target}\", \"{replacement}\", \"{source}\", \"{regex}\")"
                )
            }
            4..6 => {
                let target = self.random.pick(&["new", "inst", "__name__"]);
                format!("label_join({inner}, \"{target}\", \"-\", \"inst\", \"job\")")
            }
            6..8 => format!("-({inner})"),
            _ => format!("vector({})", self.scalar(depth - 1)),
        }
    }
}

//! The table of PromQL functions: names, argument types, arity. Semantics live in `eval`.

use crate::ast::ValueType;
use crate::ast::ValueType::{InstantVector as V, RangeVector as R, Scalar as N, String as S};

/// One function of the language.
#[derive(Debug, PartialEq)]
pub struct Function {
    pub name: &'static str,
    pub args: &'static [ValueType],
    /// 0: exactly `args`; n > 0: the last of `args` may be left out, or occur up to n times;
    /// -1: it may occur any number of times, or none.
    pub variadic: i32,
    pub returns: ValueType,
    pub experimental: bool,
}

/// Every function's name, and whether Prometheus calls it experimental.
pub fn functions() -> impl Iterator<Item = (&'static str, bool)> {
    FUNCTIONS.iter().map(|function| (function.name, function.experimental))
}

impl Function {
    /// The function of this exact name.
    pub fn by_name(name: &str) -> Option<&'static Function> {
        let index = FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok()?;
        Some(&FUNCTIONS[index])
    }

    /// The fewest and the most arguments; `None`: no upper bound.
    pub fn arity(&self) -> (usize, Option<usize>) {
        let declared = self.args.len();
        match self.variadic {
            0 => (declared, Some(declared)),
            n if n > 0 => (declared - 1, Some(declared - 1 + n as usize)),
            _ => (declared - 1, None),
        }
    }
}

const fn f(
    name: &'static str,
    args: &'static [ValueType],
    variadic: i32,
    returns: ValueType,
) -> Function {
    Function { name, args, variadic, returns, experimental: false }
}

const fn experimental(function: Function) -> Function {
    Function { experimental: true, ..function }
}

/// Every function of Prometheus 3.14, sorted by name.
#[rustfmt::skip]
pub static FUNCTIONS: [Function; 90] = [
    f("abs", &[V], 0, V),
    f("absent", &[V], 0, V),
    f("absent_over_time", &[R], 0, V),
    f("acos", &[V], 0, V),
    f("acosh", &[V], 0, V),
    f("asin", &[V], 0, V),
    f("asinh", &[V], 0, V),
    f("atan", &[V], 0, V),
    f("atanh", &[V], 0, V),
    f("avg_over_time", &[R], 0, V),
    f("ceil", &[V], 0, V),
    f("changes", &[R], 0, V),
    f("clamp", &[V, N, N], 0, V),
    f("clamp_max", &[V, N], 0, V),
    f("clamp_min", &[V, N], 0, V),
    f("cos", &[V], 0, V),
    f("cosh", &[V], 0, V),
    f("count_over_time", &[R], 0, V),
    f("day_of_month", &[V], 1, V),
    f("day_of_week", &[V], 1, V),
    f("day_of_year", &[V], 1, V),
    f("days_in_month", &[V], 1, V),
    f("deg", &[V], 0, V),
    f("delta", &[R], 0, V),
    f("deriv", &[R], 0, V),
    experimental(f("double_exponential_smoothing", &[R, N, N], 0, V)),
    experimental(f("end", &[], 0, N)),
    f("exp", &[V], 0, V),
    f("first_over_time", &[R], 0, V),
    f("floor", &[V], 0, V),
    f("histogram_avg", &[V], 0, V),
    f("histogram_count", &[V], 0, V),
    f("histogram_fraction", &[N, N, V], 0, V),
    f("histogram_quantile", &[N, V], 0, V),
    experimental(f("histogram_quantiles", &[V, S, N, N], 9, V)),
    f("histogram_stddev", &[V], 0, V),
    f("histogram_stdvar", &[V], 0, V),
    f("histogram_sum", &[V], 0, V),
    f("hour", &[V], 1, V),
    f("idelta", &[R], 0, V),
    f("increase", &[R], 0, V),
    experimental(f("info", &[V, V], 1, V)),
    f("irate", &[R], 0, V),
    f("label_join", &[V, S, S, S], -1, V),
    f("label_replace", &[V, S, S, S, S], 0, V),
    f("last_over_time", &[R], 0, V),
    f("ln", &[V], 0, V),
    f("log10", &[V], 0, V),
    f("log2", &[V], 0, V),
    experimental(f("mad_over_time", &[R], 0, V)),
    experimental(f("max_of", &[N, N], 0, N)),
    f("max_over_time", &[R], 0, V),
    experimental(f("min_of", &[N, N], 0, N)),
    f("min_over_time", &[R], 0, V),
    f("minute", &[V], 1, V),
    f("month", &[V], 1, V),
    f("pi", &[], 0, N),
    f("predict_linear", &[R, N], 0, V),
    f("present_over_time", &[R], 0, V),
    f("quantile_over_time", &[N, R], 0, V),
    f("rad", &[V], 0, V),
    experimental(f("range", &[], 0, N)),
    f("rate", &[R], 0, V),
    f("resets", &[R], 0, V),
    f("round", &[V, N], 1, V),
    f("scalar", &[V], 0, N),
    f("sgn", &[V], 0, V),
    f("sin", &[V], 0, V),
    f("sinh", &[V], 0, V),
    f("sort", &[V], 0, V),
    experimental(f("sort_by_label", &[V, S], -1, V)),
    experimental(f("sort_by_label_desc", &[V, S], -1, V)),
    f("sort_desc", &[V], 0, V),
    f("sqrt", &[V], 0, V),
    experimental(f("start", &[], 0, N)),
    experimental(f("start_timestamp", &[V], 0, V)),
    f("stddev_over_time", &[R], 0, V),
    f("stdvar_over_time", &[R], 0, V),
    experimental(f("step", &[], 0, N)),
    f("sum_over_time", &[R], 0, V),
    f("tan", &[V], 0, V),
    f("tanh", &[V], 0, V),
    f("time", &[], 0, N),
    f("timestamp", &[V], 0, V),
    experimental(f("ts_of_first_over_time", &[R], 0, V)),
    experimental(f("ts_of_last_over_time", &[R], 0, V)),
    experimental(f("ts_of_max_over_time", &[R], 0, V)),
    experimental(f("ts_of_min_over_time", &[R], 0, V)),
    f("vector", &[N], 0, V),
    f("year", &[V], 1, V),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_binary_search_finds_every_name() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert_eq!(Function::by_name("rate").map(|f| f.args), Some(&[R][..]));
        assert_eq!(Function::by_name("Rate"), None);
    }
}

//! Random expressions.

use super::mixed::Random;

/// A random expression of instant vectors.
pub fn vector(random: &mut Random, depth: u32) -> String {
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

pub fn selector(random: &mut Random, at: bool) -> String {
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

pub fn over_range(random: &mut Random, depth: u32) -> String {
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

pub fn aggregation(random: &mut Random, depth: u32) -> String {
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

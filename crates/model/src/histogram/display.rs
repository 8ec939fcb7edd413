//! A histogram as text, as Prometheus prints it (in labels made by `count_values`, for example).

use std::fmt;

use super::{Bucket, FloatHistogram};

/// `{count:4, sum:5, [-1,-0.5):1, (0.5,1]:3}`: the buckets that hold something, in order.
impl fmt::Display for FloatHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", Short(self.count), Short(self.sum))?;
        let zero = (!self.uses_custom_buckets()).then(|| self.zero_bucket());
        let buckets = self
            .negative_buckets_outwards()
            .rev()
            .chain(zero)
            .chain(self.positive_buckets_outwards());
        for bucket in buckets.filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = (
            if self.lower_inclusive { '[' } else { '(' },
            if self.upper_inclusive { ']' } else { ')' },
        );
        let (lower, upper) = (Short(self.lower), Short(self.upper));
        write!(f, "{open}{lower},{upper}{close}:{}", Short(self.count))
    }
}

/// The shortest text that reads back as the same number, with an exponent below 1e-4 and from 1e6
/// on, as Prometheus prints the numbers inside histograms.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let x = self.0;
        if x.is_nan() {
            return f.write_str("NaN");
        }
        if x.is_infinite() {
            return f.write_str(if x > 0.0 { "+Inf" } else { "-Inf" });
        }
        let scientific = format!("{x:e}");
        let Some((digits, exponent)) = scientific.split_once('e') else {
            return f.write_str(&scientific);
        };
        match exponent.parse::<i32>() {
            Ok(e) if !(-4..6).contains(&e) => {
                let sign = if e < 0 { '-' } else { '+' };
                write!(f, "{digits}e{sign}{:02}", e.abs())
            }
            _ => write!(f, "{x}"),
        }
    }
}

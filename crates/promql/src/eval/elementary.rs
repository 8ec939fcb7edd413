//! Elementary functions where Go's answers and those of Rust's library differ by more than a last digit.

use std::f64::consts::{FRAC_PI_2, LN_2, LOG2_E, LOG10_E};

/// Beyond this, half the exponential is all there is of sinh and cosh, in Go too: it overflows with it.
const HALF_EXP: f64 = 21.0;

/// From here on the 1 under the root is lost, and later the square would overflow.
const LARGE: f64 = (1 << 28) as f64;

pub(super) fn sinh(v: f64) -> f64 {
    if v.abs() > HALF_EXP { (v.abs().exp() * 0.5).copysign(v) } else { v.sinh() }
}

pub(super) fn cosh(v: f64) -> f64 {
    if v.abs() > HALF_EXP { v.abs().exp() * 0.5 } else { v.cosh() }
}

/// By way of the tangent, as Go does: near 1 the root has lost digits, and `acos` shows it.
pub(super) fn asin(v: f64) -> f64 {
    let size = v.abs();
    let root = (1.0 - size * size).sqrt();
    let angle = if size > 0.7 { FRAC_PI_2 - (root / size).atan() } else { (size / root).atan() };
    angle.copysign(v)
}

pub(super) fn acos(v: f64) -> f64 {
    FRAC_PI_2 - asin(v)
}

pub(super) fn asinh(v: f64) -> f64 {
    let size = v.abs();
    let result = if size >= LARGE {
        size.ln() + LN_2
    } else {
        (size + size * size / (1.0 + (1.0 + size * size).sqrt())).ln_1p()
    };
    result.copysign(v)
}

pub(super) fn acosh(v: f64) -> f64 {
    if v < 1.0 {
        return f64::NAN;
    }
    if v >= LARGE {
        return v.ln() + LN_2;
    }
    // Near 1 the logarithm of something near 1 would lose digits.
    let above = v - 1.0;
    (above + (2.0 * above + above * above).sqrt()).ln_1p()
}

/// By way of `ln`, as Go does: that is not exact, and `floor` could tell the difference.
pub(super) fn log10(v: f64) -> f64 {
    v.ln() * LOG10_E
}

/// Exact for powers of two.
pub(super) fn log2(v: f64) -> f64 {
    if !v.is_normal() || v < 0.0 {
        return v.log2();
    }
    let bits = v.to_bits();
    let exponent = (bits >> 52) as i32 - 1022;
    // From 1/2 to 1.
    let fraction = f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52);
    if fraction == 0.5 {
        return f64::from(exponent - 1);
    }
    fraction.ln() * LOG2_E + f64::from(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Equal up to a few last digits.
    fn assert_near(value: f64, expected: f64) {
        let near = (value - expected).abs() <= 4.0 * f64::EPSILON * expected.abs();
        assert!(near || value == expected, "{value} instead of {expected}");
    }

    #[test]
    fn inverse_hyperbolic_functions_know_large_numbers() {
        for function in [asinh, acosh] {
            assert_near(function(1e308), 709.889355822726);
            assert_near(function(f64::MAX), 710.4758600739439);
            assert_eq!(function(f64::INFINITY), f64::INFINITY);
            assert!(function(f64::NAN).is_nan());
        }
        assert_near(asinh(f64::MIN), -710.4758600739439);
        assert!(acosh(0.5).is_nan() && acosh(-1e300).is_nan());
    }

    #[test]
    fn inverse_hyperbolic_functions_keep_their_digits_at_their_roots() {
        assert_near(acosh(1.0000001), 0.0004472135919037347);
        assert_near(acosh(1.0000000000000002), 2.1073424255447017e-8);
        assert_eq!(acosh(1.0), 0.0);
        assert_eq!(asinh(5e-324), 5e-324);
        assert_eq!(asinh(1e-10), 1e-10);
        assert!(asinh(-0.0).is_sign_negative());
    }
    #[test]
    fn decimal_logarithms_are_natural_ones_times_a_constant() {
        // What Prometheus answers, where it is not the nearest float.
        assert_eq!(log10(1e15), 14.999999999999998);
        assert_eq!(log10(0.1), -0.9999999999999999);
        for (power, value) in [(3, 1e3), (6, 1e6), (23, 1e23), (100, 1e100), (-200, 1e-200)] {
            assert_eq!(log10(value), f64::from(power));
        }
        assert_near(log10(1.0000001), 4.3429446044209946e-8);
    }
    #[test]
    fn inverse_sines_are_those_of_tangents() {
        // What Prometheus answers, where it is not near the exact value.
        assert_near(acos(0.99999999), 0.00014142135667150058);
        assert_near(asin(0.99999999), 1.570654905438225);
        assert_eq!((asin(1.0), acos(1.0)), (FRAC_PI_2, 0.0));
        assert_eq!((asin(-1.0), acos(-1.0)), (-FRAC_PI_2, 2.0 * FRAC_PI_2));
        assert!(asin(1.5).is_nan() && acos(-2.0).is_nan() && asin(f64::INFINITY).is_nan());
        assert!(asin(-0.0).is_sign_negative());
    }
}

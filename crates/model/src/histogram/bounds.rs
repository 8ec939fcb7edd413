//! Where buckets begin and end.
//!
//! Invariant: the bounds are those of Prometheus to the last bit, so that results compare equal.

use super::CUSTOM_BUCKETS_SCHEMA;

/// Finest and coarsest exponential resolution that PromQL computes with.
pub const SCHEMA_MAX: i32 = 8;
pub const SCHEMA_MIN: i32 = -4;

pub(super) fn is_exponential(schema: i32) -> bool {
    (SCHEMA_MIN..=SCHEMA_MAX).contains(&schema)
}

/// The upper bound of bucket `index`, as a distance from zero for exponential schemas.
///
/// Bucket `index` reaches from `bound(index - 1)` to `bound(index)`.
pub(super) fn bound(index: i32, schema: i32, custom_values: &[f64]) -> f64 {
    if schema != CUSTOM_BUCKETS_SCHEMA {
        return exponential_bound(index, schema);
    }
    match usize::try_from(index) {
        Ok(i) => custom_values.get(i).copied().unwrap_or(f64::INFINITY),
        Err(_) => f64::NEG_INFINITY,
    }
}

/// 2^(index · 2^-schema).
///
/// The last bucket of finite numbers ends at the largest float, not at infinity: observations of
/// infinity have the bucket after it to themselves.
pub(super) fn exponential_bound(index: i32, schema: i32) -> f64 {
    let schema = schema.clamp(SCHEMA_MIN, SCHEMA_MAX);
    if schema < 0 {
        let exponent = i64::from(index) << -schema;
        return if exponent == 1024 { f64::MAX } else { ldexp(1.0, exponent) };
    }
    let step = index & ((1 << schema) - 1);
    let fraction = FRACTIONS[(step << (SCHEMA_MAX - schema)) as usize];
    let exponent = i64::from(index >> schema) + 1;
    if fraction == 0.5 && exponent == 1025 { f64::MAX } else { ldexp(fraction, exponent) }
}

/// The bucket of the coarser schema `to` that contains bucket `index` of schema `from`.
pub(super) fn coarser_index(index: i32, from: i32, to: i32) -> i32 {
    let shift = from.saturating_sub(to).clamp(0, 31);
    (index.wrapping_sub(1) >> shift).wrapping_add(1)
}

/// 2^(2^-n) for n = 1, 2, …, 8. The first is one unit in the last place below √2: the boundaries
/// that all producers agreed on were computed so.
const ROOTS: [f64; 8] = [
    2.0 / std::f64::consts::SQRT_2,
    1.189207115002721,
    1.0905077326652577,
    1.0442737824274138,
    1.0218971486541166,
    1.0108892860517005,
    1.0054299011128027,
    1.0027112750502025,
];

/// The bounds of schema 8 in [0.5, 1); those of coarser schemas are every second, fourth, … of them.
static FRACTIONS: [f64; 256] = fractions();

const fn fractions() -> [f64; 256] {
    let mut table = [0.5; 256];
    let mut i = 0;
    while i < table.len() {
        let mut root = 0;
        while root < ROOTS.len() {
            if i >> (7 - root) & 1 == 1 {
                table[i] *= ROOTS[root];
            }
            root += 1;
        }
        i += 1;
    }
    table
}

/// `fraction` · 2^`exponent` for a fraction in [0.5, 1].
fn ldexp(fraction: f64, exponent: i64) -> f64 {
    // Below 2^-1100 everything is zero, above 2^1100 infinite; two factors keep each one normal.
    let exponent = exponent.clamp(-1100, 1100);
    let half = exponent / 2;
    fraction * power_of_two(half) * power_of_two(exponent - half)
}

fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_bounds_in_every_schema() {
        for schema in SCHEMA_MIN..=SCHEMA_MAX {
            for power in [-3, 0, 1, 4] {
                let per_power = if schema < 0 { 1 } else { 1 << schema };
                let index = power * per_power;
                let exponent = if schema < 0 { power << -schema } else { power };
                assert_eq!(exponential_bound(index, schema), f64::powi(2.0, exponent));
            }
        }
    }

    #[test]
    fn bounds_grow_and_stay_within_three_units_of_the_exact_power() {
        for schema in 0..=SCHEMA_MAX {
            for index in -(3 << schema)..(3 << schema) {
                let bound = exponential_bound(index, schema);
                let exact = (f64::from(index) / f64::from(1 << schema)).exp2();
                assert!((bound - exact).abs() <= exact * 6e-16, "{schema} {index}");
                assert!(bound < exponential_bound(index + 1, schema));
            }
        }
    }

    #[test]
    fn the_last_finite_bucket_ends_at_the_largest_float() {
        assert_eq!(exponential_bound(1024, 0), f64::MAX);
        assert_eq!(exponential_bound(1025, 0), f64::INFINITY);
        assert_eq!(exponential_bound(1024 << 3, 3), f64::MAX);
        assert_eq!(exponential_bound(64, -4), f64::MAX);
        assert_eq!(exponential_bound(65, -4), f64::INFINITY);
        assert_eq!(exponential_bound(-1074, 0), f64::from_bits(1));
        assert_eq!(exponential_bound(i32::MIN, -4), 0.0);
        assert_eq!(exponential_bound(i32::MAX, 8), f64::INFINITY);
    }

    #[test]
    fn a_coarser_bucket_contains_the_finer_one() {
        for (from, to) in [(8, 0), (3, -4), (1, 0), (0, -1)] {
            for index in -100..100 {
                let coarse = coarser_index(index, from, to);
                assert!(exponential_bound(index, from) <= exponential_bound(coarse, to));
                assert!(exponential_bound(index - 1, from) >= exponential_bound(coarse - 1, to));
            }
        }
    }

    #[test]
    fn custom_bounds_are_open_at_both_ends() {
        assert_eq!(bound(-1, CUSTOM_BUCKETS_SCHEMA, &[5.0]), f64::NEG_INFINITY);
        assert_eq!(bound(0, CUSTOM_BUCKETS_SCHEMA, &[5.0]), 5.0);
        assert_eq!(bound(1, CUSTOM_BUCKETS_SCHEMA, &[5.0]), f64::INFINITY);
    }
}

use super::*;
use proptest::prelude::*;

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Encodes, decodes all and a part, returns the size.
fn check(values: &[f64]) -> usize {
    check_packing(values, Packing::Dense).min(check_packing(values, Packing::Fast))
}

fn check_packing(values: &[f64], packing: Packing) -> usize {
    let mut bytes = Vec::new();
    encode(values, packing, &mut bytes);
    let mut out = vec![f64::MAX];
    decode(&bytes, values.len(), 0..values.len(), &mut out).unwrap();
    assert!(bits(&out[1..]) == bits(values), "{:?} for {values:?}", &out[1..]);
    let part = values.len() / 3..values.len() * 2 / 3;
    out.clear();
    decode(&bytes, values.len(), part.clone(), &mut out).unwrap();
    assert_eq!(bits(&out), bits(&values[part]));
    bytes.len()
}

/// Any double, NaN payloads included.
fn any_double() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<u64>().prop_map(f64::from_bits),
        1 => prop::sample::select(vec![
            0.0, -0.0, 1.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 5e-324,
            f64::from_bits(metricstor_model::STALE_NAN), f64::NAN, i64::MAX as f64, i64::MIN as f64,
            9007199254740993.0, 2251799813685248.0, 1e22, f64::MAX,
        ]),
    ]
}

/// What producers send: integers under one of the scales, with odd values in between.
fn produced() -> impl Strategy<Value = Vec<f64>> {
    let steps = prop::collection::vec((0i64..1000, any_double(), 0u8..40), 0..400);
    (steps, 0u8..4, 0i32..10, 1i64..5000, -1_000_000_000i64..1_000_000_000).prop_map(
        |(steps, kind, exponent, divisor, first)| {
            let mut integer = first;
            let scaled = |(step, odd, is_odd): (i64, f64, u8)| {
                integer += step * divisor;
                let x = integer as f64;
                let power = 10f64.powi(exponent);
                match kind {
                    _ if is_odd == 0 => odd,
                    0 => x,
                    1 => x / power,
                    2 => x * (1.0 / power),
                    _ => x / power / power,
                }
            };
            steps.into_iter().map(scaled).collect()
        },
    )
}

proptest! {
    #[test]
    fn produced_values_round_trip(values in produced()) {
        check(&values);
    }

    #[test]
    fn any_doubles_round_trip(values in prop::collection::vec(any_double(), 0..300)) {
        check(&values);
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        count in 0usize..400,
    ) {
        let mut out = Vec::new();
        if decode(&bytes, count, 0..count, &mut out).is_ok() {
            prop_assert_eq!(out.len(), count);
        }
        prop_assert!(out.capacity() <= count.max(4));
    }

    #[test]
    fn damaged_bytes_do_not_panic(values in produced(), at: prop::sample::Index, flip in 1u8..) {
        let mut bytes = Vec::new();
        encode(&values, Packing::Dense, &mut bytes);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let _ = decode(&bytes, values.len(), 0..values.len(), &mut Vec::new());
        }
    }
}

#[test]
fn constants_take_two_bytes_or_nine() {
    assert_eq!(check(&[0.0; 500]), 2);
    assert_eq!(check(&[0.1; 500]), 9);
    assert_eq!(check(&[-0.0; 3]), 9);
}

#[test]
fn each_way_of_scaling_is_recognised() {
    let ticks = |f: fn(f64) -> f64| (0..512).map(|i| f(1e6 + (i * 7 + i % 3) as f64)).collect();
    let cases: [Vec<f64>; 4] =
        [ticks(|x| x), ticks(|x| x / 100.0), ticks(|x| x * 0.001), ticks(|x| x / 1e3 / 1e3)];
    for values in cases {
        assert!(check(&values) < 512, "{:?} takes {}", &values[..2], check(&values));
    }
}

#[test]
fn a_stale_marker_does_not_spoil_its_chunk() {
    let mut values: Vec<f64> = (0..500).map(|i| i as f64 / 10.0).collect();
    let clean = check(&values);
    values[499] = f64::from_bits(metricstor_model::STALE_NAN);
    values[100] = f64::NAN;
    assert!(check(&values) < clean + 80);
}

#[test]
fn random_doubles_take_little_more_than_their_bits() {
    let mut x = 1u64;
    let mut next = || {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        f64::from_bits(x)
    };
    let values: Vec<f64> = (0..1000).map(|_| next()).collect();
    assert!(check(&values) < 8 * 1000 + 120);
}

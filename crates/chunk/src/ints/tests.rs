use super::*;
use proptest::prelude::*;

fn decoded(bytes: &[u8], order: Order, count: usize, range: std::ops::Range<usize>) -> Vec<i64> {
    let mut out = Vec::new();
    decode(bytes, order, count, range, |block| out.extend_from_slice(block)).unwrap();
    out
}

fn check(ints: &[i64]) -> usize {
    let mut bytes = Vec::new();
    let order = encode(ints, &mut bytes);
    assert_eq!(decoded(&bytes, order, ints.len(), 0..ints.len()), ints);
    bytes.len()
}

/// Walks with small steps, jumps and any 64-bit pattern.
fn columns() -> impl Strategy<Value = Vec<i64>> {
    let step = prop_oneof![
        20 => -50i64..50,
        5 => Just(0),
        1 => any::<i64>(),
        1 => -1_000_000i64..1_000_000,
    ];
    prop::collection::vec(step, 0..700).prop_map(|steps| {
        let mut value = 0i64;
        let walk = steps.into_iter().map(|step| {
            value = value.wrapping_add(step);
            value
        });
        walk.collect()
    })
}

proptest! {
    #[test]
    fn any_column_round_trips(ints in columns()) {
        check(&ints);
    }

    #[test]
    fn any_bits_round_trip(ints in prop::collection::vec(any::<i64>(), 0..300)) {
        check(&ints);
    }

    #[test]
    fn a_range_decodes_on_its_own(ints in columns(), a in 0usize..700, b in 0usize..700) {
        let mut bytes = Vec::new();
        let order = encode(&ints, &mut bytes);
        let end = a.max(b).min(ints.len());
        let range = a.min(b).min(end)..end;
        prop_assert_eq!(decoded(&bytes, order, ints.len(), range.clone()), &ints[range]);
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        order in 0u8..3,
        count in 0usize..600,
    ) {
        let order = Order::from_code(order).unwrap();
        let mut n = 0;
        if decode(&bytes, order, count, 0..count, |block| n += block.len()).is_ok() {
            prop_assert_eq!(n, count);
        }
    }
}

#[test]
fn a_steady_counter_takes_no_payload() {
    let ints: Vec<i64> = (0..1280).map(|i| 1_000_000 + i * 37).collect();
    assert!(check(&ints) < 10 * 6, "{}", check(&ints));
}

#[test]
fn a_counter_reset_costs_a_patch_not_a_width() {
    let steady: Vec<i64> = (0..128).map(|i| 1 << 40 | (i * 37 + i % 3)).collect();
    let mut reset = steady.clone();
    reset[64..].iter_mut().for_each(|x| *x -= steady[64]);
    assert!(check(&reset) < check(&steady) + 30, "{} {}", check(&reset), check(&steady));
}

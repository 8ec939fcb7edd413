//! Where a series falls between 0 and 1, by the hash of its labels, for `limit_ratio`.
//!
//! Invariant: the same place as in Prometheus, whose labels in memory are what is hashed: each name
//! and value after its length, in one byte below 255, else in the byte 255 and three more, the lowest
//! first.

use metricstor_model::Labels;
use xxhash_rust::xxh64::xxh64;

/// At least 0, at most 1.
pub(super) fn place(labels: &Labels) -> f64 {
    let mut bytes = Vec::with_capacity(labels.size() + 16);
    for (name, value) in labels.iter() {
        push(&mut bytes, name);
        push(&mut bytes, value);
    }
    xxh64(&bytes, 0) as f64 / u64::MAX as f64
}

fn push(bytes: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length) if length < 255 => bytes.push(length),
        _ => {
            bytes.push(255);
            bytes.extend_from_slice(&(text.len() as u32).to_le_bytes()[..3]);
        }
    }
    bytes.extend_from_slice(text.as_bytes());
}

/// Is this place among the first share of `ratio`, or, if that is negative, among the last share of
/// -`ratio`?
pub(super) fn is_inside(ratio: f64, place: f64) -> bool {
    (ratio >= 0.0 && place < ratio) || (ratio < 0.0 && place >= 1.0 + ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_and_its_complement_share_out_everything() {
        for i in 0..100 {
            let labels = Labels::from_pairs([("i", i.to_string())]).unwrap();
            let place = place(&labels);
            assert!((0.0..=1.0).contains(&place));
            assert!(is_inside(0.3, place) != is_inside(-0.7, place));
        }
    }
}

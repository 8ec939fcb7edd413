//! Natural order: runs of digits compare as numbers, so that "b2" comes before "b10".

use std::cmp::Ordering;

/// A total order: texts that differ in leading zeros only are told apart by their bytes.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while let (Some((x, x_rest)), Some((y, y_rest))) = (chunk(left), chunk(right)) {
        let order = match (number(x), number(y)) {
            (Some(x), Some(y)) => x.len().cmp(&y.len()).then(x.cmp(y)),
            _ => x.cmp(y),
        };
        if order.is_ne() {
            return order;
        }
        (left, right) = (x_rest, y_rest);
    }
    left.len().cmp(&right.len()).then(a.cmp(b))
}

/// The digits of a number, without leading zeros.
fn number(chunk: &str) -> Option<&str> {
    chunk.starts_with(|c: char| c.is_ascii_digit()).then(|| chunk.trim_start_matches('0'))
}

/// The first run of digits, or of anything else, and what follows it.
fn chunk(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().next()?.is_ascii_digit();
    let end = text.bytes().position(|byte| byte.is_ascii_digit() != digits);
    Some(text.split_at(end.unwrap_or(text.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_inside_texts_count_as_numbers() {
        for (a, b) in [("b2", "b10"), ("1.2.3", "1.10"), ("a", "a1"), ("02", "2"), ("9", "x")] {
            assert_eq!(compare(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(compare(b, a), Ordering::Greater, "{a} {b}");
        }
        assert_eq!(compare("a1", "a1"), Ordering::Equal);
    }
}

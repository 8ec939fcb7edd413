//! Places in an ordered list that only ever move forward.

/// Such a place. Steps are even, and samples mostly are: it tries the distance it moved last.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Forward {
    pub at: usize,
    stride: usize,
}

impl Forward {
    /// Moves behind the last entry that is `passed`, which must hold for a first part of the list.
    #[inline]
    pub fn advance<T>(&mut self, list: &[T], passed: impl Fn(&T) -> bool) -> usize {
        let guess = self.at + self.stride;
        let behind = guess == self.at || list.get(guess - 1).is_some_and(&passed);
        let hit = behind && list.get(guess).is_none_or(|entry| !passed(entry));
        let next = if hit && guess <= list.len() { guess } else { search(list, self.at, passed) };
        self.stride = next - self.at;
        self.at = next;
        next
    }
}

/// Doubles the distance until it is too far, then halves.
fn search<T>(list: &[T], at: usize, passed: impl Fn(&T) -> bool) -> usize {
    let rest = &list[at..];
    let mut bound = 1;
    while rest.get(bound - 1).is_some_and(&passed) {
        bound *= 2;
    }
    let (low, high) = (bound / 2, bound.min(rest.len()));
    at + low + rest[low..high].partition_point(passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_place_is_that_of_a_walk(
            gaps in prop::collection::vec(0i64..20, 0..60),
            moves in prop::collection::vec(0i64..40, 0..60),
        ) {
            let sum = |state: &mut i64, gap: &i64| { *state += gap; Some(*state) };
            let list: Vec<i64> = gaps.iter().scan(0, sum).collect();
            let mut place = Forward::default();
            for time in moves.iter().scan(0, sum) {
                let expected = list.iter().take_while(|entry| **entry <= time).count();
                prop_assert_eq!(place.advance(&list, |entry| *entry <= time), expected);
            }
        }
    }
}

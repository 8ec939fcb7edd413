//! The identity of a series on disk and between nodes.

use crate::Labels;
use xxhash_rust::xxh3::Xxh3Default;

/// 128-bit hash of tenant and canonical labels. Fixed for ever: it is written to disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SeriesId(pub u128);

/// No valid UTF-8 text contains this byte, so concatenations cannot collide.
const SEPARATOR: [u8; 1] = [0xff];

impl SeriesId {
    /// xxh3-128 over `tenant ‖ 0xFF ‖ (name 0xFF value 0xFF)*`, names in byte order.
    pub fn of(tenant: &str, labels: &Labels) -> Self {
        Self::of_pairs(tenant, labels.iter())
    }

    /// The same over pairs that are already canonical (sorted, unique, no empty value).
    pub fn of_pairs<'a>(tenant: &str, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hash = Xxh3Default::new();
        hash.update(tenant.as_bytes());
        hash.update(&SEPARATOR);
        for (name, value) in pairs {
            hash.update(name.as_bytes());
            hash.update(&SEPARATOR);
            hash.update(value.as_bytes());
            hash.update(&SEPARATOR);
        }
        Self(hash.digest128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are on people's disks: this test may never be changed.
    #[test]
    fn ids_never_change() {
        let up = Labels::from_pairs([("__name__", "up"), ("job", "node")]).unwrap();
        let id = SeriesId::of("", &up);
        assert_ne!(id, SeriesId::of("team-a", &up));
        assert_eq!(format!("{:032x}", id.0), include_str!("series_id.fixture").trim());
    }
}

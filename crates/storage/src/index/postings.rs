//! The series that carry a label pair: one, a short list, or a bitmap when they are many.

use roaring::RoaringBitmap;

/// Beyond this many series a bitmap is smaller and faster.
const FEW_MAX: usize = 32;

#[derive(Default)]
pub(super) enum Postings {
    #[default]
    None,
    One(u32),
    /// Ascending.
    Few(Vec<u32>),
    Many(Box<RoaringBitmap>),
}

impl Postings {
    /// Adds a series; mostly it is the highest so far.
    pub fn insert(&mut self, series: u32) {
        match self {
            Self::None => *self = Self::One(series),
            Self::One(one) if *one == series => {}
            Self::One(one) => *self = Self::Few(vec![series.min(*one), series.max(*one)]),
            Self::Few(few) => {
                if let Err(at) = few.binary_search(&series) {
                    few.insert(at, series);
                }
                if few.len() > FEW_MAX {
                    *self = Self::Many(Box::new(few.iter().copied().collect()));
                }
            }
            Self::Many(many) => {
                // Not `push`, which looks for the highest member of a full container each time.
                many.insert(series);
            }
        }
    }

    /// Removes all of these series.
    pub fn subtract(&mut self, series: &RoaringBitmap) {
        match self {
            Self::None => {}
            Self::One(one) => {
                if series.contains(*one) {
                    *self = Self::None;
                }
            }
            Self::Few(few) => {
                few.retain(|one| !series.contains(*one));
                few.shrink_to_fit();
                self.narrow();
            }
            Self::Many(many) => {
                **many -= series;
                many.optimize();
                self.narrow();
            }
        }
    }

    fn narrow(&mut self) {
        if let (few @ 2.., Self::Many(many)) = (self.len(), &*self)
            && few <= FEW_MAX as u64
        {
            *self = Self::Few(many.iter().collect());
        }
        match (self.len(), self.first()) {
            (0, _) | (_, None) => *self = Self::None,
            (1, Some(one)) => *self = Self::One(one),
            _ => {}
        }
    }

    fn first(&self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::One(one) => Some(*one),
            Self::Few(few) => few.first().copied(),
            Self::Many(many) => many.min(),
        }
    }

    /// Stores long runs of neighbours as runs.
    pub fn optimize(&mut self) {
        if let Self::Many(many) = self {
            many.optimize();
        }
    }

    /// As cheap as it looks: what lost its last series is `None`.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    pub fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Few(few) => few.len() as u64,
            Self::Many(many) => many.len(),
        }
    }

    pub fn is_disjoint(&self, set: &RoaringBitmap) -> bool {
        match self {
            Self::Many(many) => many.is_disjoint(set),
            _ => !self.few().iter().any(|one| set.contains(*one)),
        }
    }

    /// How many series are in both.
    pub fn common(&self, other: &Self) -> u64 {
        let inside =
            |few: &[u32], many: &Self| few.iter().filter(|one| many.contains(**one)).count();
        match (self, other) {
            (Self::Many(one), Self::Many(two)) => one.intersection_len(two),
            (Self::Many(_), few) => inside(few.few(), self) as u64,
            (few, _) => inside(few.few(), other) as u64,
        }
    }

    fn contains(&self, series: u32) -> bool {
        match self {
            Self::Many(many) => many.contains(series),
            _ => self.few().binary_search(&series).is_ok(),
        }
    }

    /// The series while they are no bitmap; empty when they are.
    pub fn few(&self) -> &[u32] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Few(few) => few,
            Self::None | Self::Many(_) => &[],
        }
    }

    pub fn many(&self) -> Option<&RoaringBitmap> {
        match self {
            Self::Many(many) => Some(many),
            _ => None,
        }
    }

    /// Bytes of memory held beside the value itself, about.
    pub fn heap_size(&self) -> usize {
        match self {
            Self::None | Self::One(_) => 0,
            Self::Few(few) => few.capacity() * 4,
            Self::Many(many) => bitmap_size(many),
        }
    }
}

/// Bytes of memory held, about: lists grow by doubling.
pub(super) fn bitmap_size(bitmap: &RoaringBitmap) -> usize {
    let parts = bitmap.statistics();
    let values = parts.n_bytes_array_containers / 2
        + parts.n_bytes_bitset_containers.max(8192 * u64::from(parts.n_bitset_containers))
        + parts.n_bytes_run_containers;
    size_of::<RoaringBitmap>() + 48 * parts.n_containers as usize + values as usize
}

//! The series that carry a label pair: a short list while they are few, a bitmap when they are many.

use roaring::RoaringBitmap;

/// Beyond this many series a bitmap is smaller and faster.
const FEW_MAX: usize = 32;

pub(super) enum Postings {
    /// Ascending.
    Few(Vec<u32>),
    Many(Box<RoaringBitmap>),
}

impl Default for Postings {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Postings {
    pub fn insert(&mut self, series: u32) {
        match self {
            Self::Few(few) => {
                match few.last() {
                    Some(last) if *last >= series => {
                        if let Err(at) = few.binary_search(&series) {
                            few.insert(at, series);
                        }
                    }
                    _ => {
                        if few.is_empty() {
                            few.reserve_exact(1);
                        }
                        few.push(series);
                    }
                }
                if few.len() > FEW_MAX {
                    *self = Self::Many(Box::new(few.iter().copied().collect()));
                }
            }
            Self::Many(many) => {
                many.insert(series);
            }
        }
    }

    pub fn union_into(&self, out: &mut RoaringBitmap) {
        match self {
            Self::Few(few) => out.extend(few.iter().copied()),
            Self::Many(many) => *out |= &**many,
        }
    }

    pub fn to_bitmap(&self) -> RoaringBitmap {
        match self {
            Self::Few(few) => few.iter().copied().collect(),
            Self::Many(many) => (**many).clone(),
        }
    }

    /// Keeps of `set` what is here too.
    pub fn intersect_into(&self, set: &mut RoaringBitmap) {
        match self {
            Self::Few(_) => *set &= self.to_bitmap(),
            Self::Many(many) => *set &= &**many,
        }
    }

    pub fn len(&self) -> u64 {
        match self {
            Self::Few(few) => few.len() as u64,
            Self::Many(many) => many.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn size(&self) -> usize {
        let heap = match self {
            Self::Few(few) => few.capacity() * 4,
            Self::Many(many) => many.serialized_size() + 64,
        };
        size_of::<Self>() + heap
    }
}

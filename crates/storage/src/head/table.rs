//! What the head knows of each series, by reference, in pages: a page is given back when none of its
//! series has had samples for a whole flush, so memory follows the active series.

use metricstor_model::TimeRange;

use super::cells::Chain;
use super::codec::CodecState;

/// Series of a page.
pub(super) const PAGE: usize = 1024;

/// What the head knows of a series: 48 bytes.
#[derive(Clone, Copy, Default)]
pub(super) struct Series {
    pub chain: Chain,
    pub flags: u8,
    /// The newest sample in order, flushed ones included, when `HAS_LAST` is set.
    pub last: CodecState,
    /// The time of the chain's first sample.
    pub first_timestamp: i64,
}

impl Series {
    /// From the chain's first sample to the newest one.
    pub fn times(&self) -> TimeRange {
        TimeRange::new(self.first_timestamp, self.last.timestamp)
    }
}

/// The series is defined by an applied log entry.
pub(super) const DEFINED: u8 = 1;
/// `last` is known.
pub(super) const HAS_LAST: u8 = 2;
/// No chunk file holds the series: it was defined after the last start, and its page has not been
/// given back since.
pub(super) const BORN_HERE: u8 = 4;
/// The series has had native histograms: a float may meet one at its time, so no fast path.
pub(super) const HAS_HISTOGRAMS: u8 = 8;

type Page = Box<[Series; PAGE]>;

/// The chains of a page's series.
pub(super) type Chains = Box<[Chain; PAGE]>;

#[derive(Default)]
pub(super) struct Table {
    pages: Vec<Option<Page>>,
    /// Every series below is defined, with or without a page.
    defined_below: u32,
}

impl Table {
    #[inline]
    pub fn get(&self, series: u32) -> Option<&Series> {
        let page = self.pages.get(series as usize / PAGE)?.as_deref()?;
        Some(&page[series as usize % PAGE])
    }

    /// The series' state, made if it has none.
    #[inline]
    pub fn get_mut(&mut self, series: u32) -> &mut Series {
        let number = series as usize / PAGE;
        if !matches!(self.pages.get(number), Some(Some(_))) {
            self.make_page(number);
        }
        let page = self.pages[number].as_deref_mut().expect("the page was just made");
        &mut page[series as usize % PAGE]
    }

    #[cold]
    fn make_page(&mut self, number: usize) {
        if number >= self.pages.len() {
            self.pages.resize_with(number + 1, || None);
        }
        self.pages[number] = Some(Box::new([Series::default(); PAGE]));
    }

    pub fn is_defined(&self, series: u32) -> bool {
        let flagged = |state: &Series| state.flags & DEFINED != 0;
        series < self.defined_below || self.get(series).is_some_and(flagged)
    }

    /// Notes that a series exists; true when that is news.
    pub fn define(&mut self, series: u32, flags: u8) -> bool {
        if self.is_defined(series) {
            return false;
        }
        self.get_mut(series).flags |= DEFINED | flags;
        while self.is_defined(self.defined_below) {
            self.defined_below += 1;
        }
        true
    }

    /// Notes that all series below exist.
    pub fn define_below(&mut self, series: u32) {
        self.defined_below = self.defined_below.max(series);
    }

    pub fn defined_below(&self) -> u32 {
        self.defined_below
    }

    /// Series with a chain.
    pub fn chained(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.pages).filter_map(|(n, page)| Some((n, page.as_deref()?))).flat_map(
            |(number, page)| {
                let first = number * PAGE as u32;
                let chained = (0u32..).zip(page).filter(|(_, series)| series.chain.len() > 0);
                chained.map(move |(i, _)| first + i)
            },
        )
    }

    /// Takes all chains. Pages without one are given back, but for those that `keep` wants.
    pub fn take_chains(&mut self, keep: impl Fn(u32) -> bool) -> Vec<Option<Chains>> {
        let below = self.defined_below as usize;
        let mut all = Vec::with_capacity(self.pages.len());
        for (number, slot) in self.pages.iter_mut().enumerate() {
            let Some(page) = slot.as_deref_mut() else {
                all.push(None);
                continue;
            };
            if page.iter().any(|series| series.chain.len() > 0) {
                all.push(Some(Box::new(std::array::from_fn(|i| page[i].chain))));
                page.iter_mut().for_each(|series| series.chain = Chain::default());
                continue;
            }
            all.push(None);
            if (number + 1) * PAGE <= below && !keep(number as u32) {
                *slot = None;
            }
        }
        all
    }

    /// Bytes of memory held.
    pub fn size(&self) -> usize {
        let pages = self.pages.iter().flatten().count();
        self.pages.capacity() * size_of::<Option<Page>>() + pages * size_of::<[Series; PAGE]>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::cells::Cells;
    use super::*;

    #[test]
    fn idle_pages_are_given_back_and_their_series_stay_defined() {
        let mut table = Table::default();
        for series in 0..5 * PAGE as u32 {
            assert!(table.define(series, BORN_HERE));
        }
        let mut cells = Cells::default();
        cells.append(&mut table.get_mut(PAGE as u32 + 7).chain, &[1, 2, 3]);
        let full = table.size();
        let chains = table.take_chains(|page| page == 3);
        assert_eq!(chains.iter().flatten().count(), 1);
        assert_eq!(chains[1].as_ref().map(|page| page[7].len()), Some(3));
        assert!(table.size() < full / 2);
        assert!(table.get(0).is_none() && table.get(3 * PAGE as u32).is_some());
        assert_eq!(table.get(PAGE as u32 + 7).map(|series| series.chain.len()), Some(0));
        for series in 0..5 * PAGE as u32 {
            assert!(!table.define(series, 0), "{series}");
        }
        assert_eq!(table.defined_below(), 5 * PAGE as u32);
        assert!(table.define(9 * PAGE as u32, 0));
    }

    #[test]
    fn series_defined_out_of_order_are_all_below_in_the_end() {
        let mut table = Table::default();
        table.define_below(10);
        for series in [12, 11, 14, 10] {
            assert!(table.define(series, 0));
        }
        assert_eq!(table.defined_below(), 13);
        assert!(table.is_defined(14) && !table.is_defined(13));
    }
}

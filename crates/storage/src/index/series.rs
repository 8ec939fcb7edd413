//! What each series is: its id and the numbers of its pairs, by reference.
//!
//! References are given out ascending and never again; they stand in pages, and a page whose last
//! series is gone is given back. So memory follows the living series, not all that ever were.

use metricstor_model::SeriesId;

/// References of a page.
const PAGE: usize = 1024;

#[derive(Default)]
pub(super) struct Series {
    pages: Vec<Option<Box<Page>>>,
    /// The reference after the highest one given out.
    next: u32,
}

#[derive(Default)]
struct Page {
    /// By position in the page; anything where there is no series.
    ids: Vec<SeriesId>,
    /// Where the pairs of each position end in `pairs`; they begin where its predecessor's end.
    ends: Vec<u32>,
    /// Varints.
    pairs: Vec<u8>,
}

impl Series {
    /// The reference the next series gets.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// References below this are never given out again.
    pub fn skip_to(&mut self, next: u32) {
        self.next = self.next.max(next);
    }

    /// Adds a series under a reference that is not in use.
    pub fn insert(&mut self, series: u32, id: SeriesId, pairs: &[u32]) {
        let (number, at) = (series as usize / PAGE, series as usize % PAGE);
        if number >= self.pages.len() {
            if let Some(Some(full)) = self.pages.last_mut() {
                full.pairs.shrink_to_fit();
            }
            self.pages.resize_with(number + 1, || None);
        }
        self.pages[number].get_or_insert_default().insert(at, id, pairs);
        self.next = self.next.max(series.saturating_add(1));
    }

    /// Is this series' id `id`?
    #[inline]
    pub fn is(&self, series: u32, id: SeriesId) -> bool {
        self.id(series) == Some(id)
    }

    /// The id of a series in use.
    #[inline]
    pub fn id(&self, series: u32) -> Option<SeriesId> {
        let page = self.pages.get(series as usize / PAGE)?.as_deref()?;
        page.ids.get(series as usize % PAGE).copied()
    }

    /// The numbers of a series' pairs, in label order.
    #[inline]
    pub fn pairs(&self, series: u32) -> PairNumbers<'_> {
        let page = self.pages.get(series as usize / PAGE).and_then(Option::as_deref);
        PairNumbers(page.map_or(&[], |page| page.slice(series as usize % PAGE)))
    }

    /// Forgets series: ascending, all in use.
    pub fn remove(&mut self, series: impl Iterator<Item = u32>) {
        let mut series = series.peekable();
        while let Some(first) = series.peek() {
            let number = *first as usize / PAGE;
            let mut dead = [false; PAGE];
            while let Some(one) = series.next_if(|one| *one as usize / PAGE == number) {
                dead[one as usize % PAGE] = true;
            }
            let page = &mut self.pages[number];
            *page = page.take().and_then(|page| page.without(&dead));
        }
    }

    /// Bytes of memory held.
    pub fn size(&self) -> usize {
        let page = |page: &Page| {
            page.ids.capacity() * size_of::<SeriesId>()
                + page.ends.capacity() * 4
                + page.pairs.capacity()
                + size_of::<Page>()
        };
        let pages: usize = self.pages.iter().flatten().map(|p| page(p)).sum();
        self.pages.capacity() * size_of::<Option<Box<Page>>>() + pages
    }
}

impl Page {
    fn insert(&mut self, at: usize, id: SeriesId, pairs: &[u32]) {
        if self.ids.capacity() == 0 {
            self.ids.reserve_exact(PAGE);
            self.ends.reserve_exact(PAGE);
        }
        while self.ids.len() <= at {
            self.ids.push(SeriesId(0));
            self.ends.push(self.pairs.len() as u32);
        }
        self.ids[at] = id;
        let mut encoded = Vec::new();
        pairs.iter().for_each(|pair| put_varint(&mut encoded, *pair));
        let end = self.ends[at] as usize;
        self.pairs.splice(end..end, encoded.iter().copied());
        self.ends[at..].iter_mut().for_each(|end| *end += encoded.len() as u32);
    }

    #[inline]
    fn slice(&self, at: usize) -> &[u8] {
        let Some(end) = self.ends.get(at) else { return &[] };
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.pairs[start as usize..*end as usize]
    }

    /// The page without some positions; `None` if nothing is left.
    fn without(&self, dead: &[bool; PAGE]) -> Option<Box<Self>> {
        let mut page = Self::default();
        page.ids.reserve_exact(PAGE);
        page.ends.reserve_exact(PAGE);
        for (at, id) in self.ids.iter().enumerate() {
            if !dead[at] {
                page.pairs.extend_from_slice(self.slice(at));
            }
            page.ids.push(if dead[at] { SeriesId(0) } else { *id });
            page.ends.push(page.pairs.len() as u32);
        }
        page.pairs.shrink_to_fit();
        (!page.pairs.is_empty()).then(|| Box::new(page))
    }
}

/// A series' pairs by number.
#[derive(Clone, Copy, Default)]
pub(crate) struct PairNumbers<'a>(&'a [u8]);

impl Iterator for PairNumbers<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let mut number = 0;
        for (i, byte) in self.0.iter().enumerate() {
            number |= u32::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.0 = &self.0[i + 1..];
                return Some(number);
            }
        }
        None
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_in_any_order_and_with_gaps() {
        let mut series = Series::default();
        let order = [5u32, 2, 1023, 1024, 0, 5000, 4, 3];
        for one in order {
            series.insert(one, SeriesId(one.into()), &[one, 0, 127, 128, u32::MAX - 1]);
        }
        for one in order {
            let expected = [one, 0, 127, 128, u32::MAX - 1];
            assert_eq!(series.pairs(one).collect::<Vec<_>>(), expected);
            assert!(series.is(one, SeriesId(one.into())));
        }
        assert_eq!(series.pairs(1).count() + series.pairs(1500).count(), 0);
        assert_eq!(series.next(), 5001);
    }

    #[test]
    fn emptied_pages_are_given_back() {
        let mut series = Series::default();
        (0..10_000).for_each(|one| series.insert(one, SeriesId(one.into()), &[one]));
        let full = series.size();
        series.remove((0..9_990).filter(|one| one % 1000 != 0));
        assert_eq!(series.pairs(1000).collect::<Vec<_>>(), [1000]);
        assert_eq!(series.pairs(1001).count(), 0);
        series.remove((0..9_990).filter(|one| one % 1000 == 0));
        assert!(series.size() < full / 4, "{} of {full}", series.size());
        assert_eq!(series.next(), 10_000);
        assert_eq!(series.pairs(9_995).collect::<Vec<_>>(), [9_995]);
    }
}

//! Which names and values there are, over all series or over some.

use hashbrown::HashSet;
use roaring::RoaringBitmap;

use super::Index;

impl Index {
    /// Does any series carry this label, or did one?
    pub fn has_label(&self, name: &str) -> bool {
        self.pairs.find_name(name).is_some()
    }

    /// How many values of this label there are.
    pub fn values_at_most(&self, name: &str) -> usize {
        self.pairs.find_name(name).map_or(0, |number| self.pairs.name(number).pairs.len())
    }

    /// All label names, or those of the given series (ascending); in no particular order.
    pub fn label_names(&self, of: Option<&[u32]>) -> Vec<String> {
        let of = of.map(bitmap);
        let wanted = |series: &RoaringBitmap| of.as_ref().is_none_or(|of| !of.is_disjoint(series));
        let names = self.pairs.names().filter(|name| wanted(&name.series));
        names.map(|name| name.text.to_string()).collect()
    }

    /// Adds all values of a label, or those that the given series (ascending) have.
    pub fn collect_label_values(&self, name: &str, of: Option<&[u32]>, all: &mut HashSet<String>) {
        let Some(number) = self.pairs.find_name(name) else { return };
        let pairs = &self.pairs.name(number).pairs;
        match of {
            None => {
                let carried = |pair: &&u32| !self.pairs.series(**pair).is_empty();
                self.collect_texts(pairs.iter().filter(carried), all);
            }
            Some(series) if series.len() > pairs.len() => {
                let series = bitmap(series);
                let carried = |pair: &&u32| !self.pairs.series(**pair).is_disjoint(&series);
                self.collect_texts(pairs.iter().filter(carried), all);
            }
            Some(series) => {
                let pairs = series.iter().filter_map(|series| self.pair_named(*series, number));
                let mut pairs: Vec<u32> = pairs.collect();
                pairs.sort_unstable();
                pairs.dedup();
                self.collect_texts(pairs.iter(), all);
            }
        }
    }

    /// Most values are in every shard: no text is made for those that are known.
    fn collect_texts<'p>(&self, pairs: impl Iterator<Item = &'p u32>, all: &mut HashSet<String>) {
        for pair in pairs {
            all.get_or_insert_with(self.pairs.text(*pair).1, str::to_owned);
        }
    }
}

fn bitmap(series: &[u32]) -> RoaringBitmap {
    series.iter().copied().collect()
}

//! Which names and values there are, over all series or over some.

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

    /// All values of a label, or those that the given series (ascending) have; in no particular
    /// order.
    pub fn label_values(&self, name: &str, of: Option<&[u32]>) -> Vec<String> {
        let Some(number) = self.pairs.find_name(name) else { return vec![] };
        let all = &self.pairs.name(number).pairs;
        let text = |pair: &u32| self.pairs.text(*pair).1.to_owned();
        match of {
            None => {
                all.iter().filter(|pair| self.pairs.series(**pair).len() > 0).map(text).collect()
            }
            Some(series) if series.len() > all.len() => {
                let series = bitmap(series);
                let carried = |pair: &&u32| !self.pairs.series(**pair).is_disjoint(&series);
                all.iter().filter(carried).map(text).collect()
            }
            Some(series) => {
                let pairs = series.iter().filter_map(|series| self.pair_named(*series, number));
                let mut pairs: Vec<u32> = pairs.collect();
                pairs.sort_unstable();
                pairs.dedup();
                pairs.iter().map(text).collect()
            }
        }
    }
}

fn bitmap(series: &[u32]) -> RoaringBitmap {
    series.iter().copied().collect()
}

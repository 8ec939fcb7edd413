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

    /// Adds all values of a label, or those that the given series (ascending) have; `all` is sorted,
    /// and each value is in it once.
    pub fn collect_label_values(&self, name: &str, of: Option<&[u32]>, all: &mut Vec<String>) {
        let Some(number) = self.pairs.find_name(name) else { return };
        match of {
            None => self.collect_values(number, |pair| !self.pairs.series(pair).is_empty(), all),
            Some(series) if series.len() > self.pairs.name(number).pairs.len() => {
                let series = bitmap(series);
                self.collect_values(
                    number,
                    |pair| !self.pairs.series(pair).is_disjoint(&series),
                    all,
                );
            }
            Some(series) => {
                let pairs = series.iter().filter_map(|series| self.pair_named(*series, number));
                unite_unsorted(all, pairs.map(|pair| self.pairs.text(pair).1).collect());
            }
        }
    }

    fn collect_values(&self, name: u32, wanted: impl Fn(u32) -> bool, all: &mut Vec<String>) {
        let (sorted, late) = self.pairs.by_value(name);
        let values = |pairs: &[u32]| -> Vec<&str> {
            let wanted = pairs.iter().filter(|pair| wanted(**pair));
            wanted.map(|pair| self.pairs.text(*pair).1).collect()
        };
        unite(all, &values(&sorted));
        unite_unsorted(all, values(late));
    }
}

fn unite_unsorted(all: &mut Vec<String>, mut texts: Vec<&str>) {
    texts.sort_unstable();
    texts.dedup();
    unite(all, &texts);
}

/// Adds those of the texts that are missing; both are sorted. Most values are in every shard.
fn unite(all: &mut Vec<String>, texts: &[&str]) {
    let known = all.len();
    let mut at = 0;
    for text in texts {
        while at < known && all[at].as_str() < *text {
            at += 1;
        }
        if at < known && all[at] == *text {
            at += 1;
        } else {
            all.push((*text).to_owned());
        }
    }
    if known > 0 && all.len() > known {
        // Not unstable: these are two runs.
        all.sort();
    }
}

fn bitmap(series: &[u32]) -> RoaringBitmap {
    series.iter().copied().collect()
}

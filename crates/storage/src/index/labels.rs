//! Which names and values there are, over all series or over some.

use roaring::RoaringBitmap;

use super::Index;
use super::name::Name;
use super::postings::Postings;

/// Series that are looked through for names of labels, at most.
const LOOKED_THROUGH: usize = 4096;

impl Index {
    /// Does any series carry this label, or did one?
    pub fn has_label(&self, name: &str) -> bool {
        self.pairs.find_name(name).is_some()
    }

    /// How many values of this label there are.
    pub fn values_at_most(&self, name: &str) -> usize {
        self.pairs.find_name(name).map_or(0, |number| self.pairs.name(number).pairs.len())
    }

    /// All label names, or those of the given series; in no particular order.
    pub fn label_names(&self, of: Option<&RoaringBitmap>) -> Vec<String> {
        let text = |name: &Name| name.text.to_string();
        let Some(of) = of else {
            return self.pairs.names().map(|(_, name)| text(name)).collect();
        };
        // Most names are met soon. To find out that a set has nothing in common with another takes
        // longer than to look through a few series.
        let mut met = vec![false; self.pairs.name_count()];
        for series in of.iter().take(LOOKED_THROUGH) {
            self.pairs_of(series).for_each(|pair| met[self.pairs.name_of(pair) as usize] = true);
        }
        let are_more = of.len() > LOOKED_THROUGH as u64;
        let has = |(number, name): &(usize, &Name)| {
            met[*number] || are_more && !of.is_disjoint(&name.series)
        };
        self.pairs.names().filter(has).map(|(_, name)| text(name)).collect()
    }

    /// Adds all values of a label, or those that the given series have; `all` is sorted, and each value
    /// is in it once.
    pub fn collect_label_values(
        &self,
        name: &str,
        of: Option<&RoaringBitmap>,
        all: &mut Vec<String>,
    ) {
        let Some(number) = self.pairs.find_name(name) else { return };
        match of {
            None => self.collect_values(number, |series| !series.is_empty(), all),
            Some(of) if of.len() > self.pairs.name(number).pairs.len() as u64 => {
                self.collect_values(number, |series| !series.is_disjoint(of), all);
            }
            Some(of) => {
                let pairs = of.iter().filter_map(|series| self.pair_named(series, number));
                unite_unsorted(all, pairs.map(|pair| self.pairs.text(pair).1).collect());
            }
        }
    }

    /// Adds the values of a name whose carriers are wanted.
    fn collect_values(&self, name: u32, wanted: impl Fn(&Postings) -> bool, all: &mut Vec<String>) {
        let (sorted, late) = self.pairs.by_value(name);
        let values = |pairs: &[u32]| -> Vec<&str> {
            let wanted = pairs.iter().filter(|pair| wanted(self.pairs.series(**pair)));
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

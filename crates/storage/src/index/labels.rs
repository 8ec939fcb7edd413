//! Which names and values there are, over all series or over some.

use roaring::RoaringBitmap;

use super::Index;
use super::name::Name;
use super::postings::Postings;

/// Series that are looked through for names of labels, at most.
const LOOKED_THROUGH: usize = 4096;

/// Where the values of a label were when somebody asked: numbers of pairs, about in the order of their
/// values, or references of series.
pub(crate) struct ValuePlaces {
    name: u32,
    among_pairs: bool,
    pub places: Vec<u32>,
}

impl Index {
    /// Does any series carry this label, or did one?
    pub fn has_label(&self, name: &str) -> bool {
        self.pairs.find_name(name).is_some()
    }

    /// Does any of these series carry this label?
    pub fn have_label(&self, name: &str, series: &[u32]) -> bool {
        let carriers = self.pairs.find_name(name).map(|number| &self.pairs.name(number).series);
        carriers.is_some_and(|carriers| series.iter().any(|one| carriers.contains(*one)))
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

    /// Where the values of a label are found step by step: all of them, or those that the given series
    /// have.
    pub fn value_places(&self, name: &str, of: Option<&RoaringBitmap>) -> Option<ValuePlaces> {
        let name = self.pairs.find_name(name)?;
        let (sorted, late) = self.pairs.by_value(name);
        let among_pairs = of.is_none_or(|of| of.len() > (sorted.len() + late.len()) as u64);
        let places = match of {
            Some(of) if !among_pairs => of.iter().collect(),
            _ => [&sorted, late].concat(),
        };
        Some(ValuePlaces { name, among_pairs, places })
    }

    /// Adds the values that are found at some of the places, in no particular order. What was forgotten
    /// meanwhile has none.
    pub fn collect_values_at(
        &self,
        found: &ValuePlaces,
        places: &[u32],
        of: Option<&RoaringBitmap>,
        out: &mut Vec<String>,
    ) {
        let is_wanted = |pair: &u32| {
            let series = self.pairs.series(*pair);
            // A number that was freed may be another name's by now.
            self.pairs.name_of(*pair) == found.name
                && of.map_or(!series.is_empty(), |of| !series.is_disjoint(of))
        };
        let value = |pair: u32| self.pairs.text(pair).1;
        if found.among_pairs {
            let pairs = places.iter().copied().filter(is_wanted);
            return out.extend(pairs.map(|pair| value(pair).to_owned()));
        }
        let pairs = places.iter().filter_map(|series| self.pair_named(*series, found.name));
        let mut values: Vec<&str> = pairs.map(value).collect();
        values.sort_unstable();
        values.dedup();
        out.extend(values.into_iter().map(str::to_owned));
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

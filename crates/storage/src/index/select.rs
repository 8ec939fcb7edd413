//! From matchers to series: the narrowest first, regular expressions over the values of one name.

use metricstor_model::{MatchOp, Matcher};
use roaring::RoaringBitmap;

use super::Index;

impl Index {
    /// The series that satisfy every matcher, ascending.
    pub fn select(&self, matchers: &[Matcher]) -> Vec<u32> {
        let mut ordered: Vec<&Matcher> = matchers.iter().collect();
        ordered.sort_by_key(|matcher| self.cost(matcher));
        let mut candidates: Option<RoaringBitmap> = None;
        for matcher in ordered {
            let narrowed = self.narrow(candidates, matcher);
            if narrowed.is_empty() {
                return vec![];
            }
            candidates = Some(narrowed);
        }
        candidates.map_or_else(|| self.all.iter().collect(), |series| series.iter().collect())
    }

    /// Equalities by the series they leave, then the others by the values they look at.
    fn cost(&self, matcher: &Matcher) -> (u8, u64) {
        let excludes_nothing = matcher.matches("");
        match matcher.op {
            MatchOp::Equal if !excludes_nothing => {
                let pair = self.pairs.find(&matcher.name, &matcher.value);
                (0, pair.map_or(0, |pair| self.postings[pair as usize].len()))
            }
            _ => (1 + u8::from(excludes_nothing), self.values_of(&matcher.name).len() as u64),
        }
    }

    fn narrow(&self, candidates: Option<RoaringBitmap>, matcher: &Matcher) -> RoaringBitmap {
        let lacks_is_fine = matcher.matches("");
        if matcher.op == MatchOp::Equal && !lacks_is_fine {
            return self.narrow_equal(candidates, matcher);
        }
        let values = self.values_of(&matcher.name);
        if let Some(candidates) = &candidates
            && candidates.len() < values.len() as u64
        {
            return candidates.iter().filter(|series| self.satisfies(*series, matcher)).collect();
        }
        // What a series lacking the label would satisfy is found by exclusion.
        let mut found = RoaringBitmap::new();
        for pair in values {
            if matcher.matches(self.pairs.text(*pair).1) != lacks_is_fine {
                self.postings[*pair as usize].union_into(&mut found);
            }
        }
        match (candidates, lacks_is_fine) {
            (Some(candidates), true) => candidates - found,
            (Some(candidates), false) => candidates & found,
            (None, true) => &self.all - found,
            (None, false) => found,
        }
    }

    fn narrow_equal(&self, candidates: Option<RoaringBitmap>, matcher: &Matcher) -> RoaringBitmap {
        let Some(pair) = self.pairs.find(&matcher.name, &matcher.value) else {
            return RoaringBitmap::new();
        };
        let postings = &self.postings[pair as usize];
        match candidates {
            None => postings.to_bitmap(),
            Some(mut candidates) => {
                postings.intersect_into(&mut candidates);
                candidates
            }
        }
    }

    fn satisfies(&self, series: u32, matcher: &Matcher) -> bool {
        let pairs = self.pairs_of(series).iter().map(|pair| self.pairs.text(*pair));
        let value = pairs.into_iter().find(|(name, _)| *name == matcher.name);
        matcher.matches(value.map_or("", |(_, value)| value))
    }

    fn values_of(&self, name: &str) -> &[u32] {
        self.pairs.find_symbol(name).map_or(&[], |name| self.pairs.of_name(name))
    }
}

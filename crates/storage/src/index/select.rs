//! From matchers to series: the narrowest first, regular expressions over the values of one name.
//!
//! Every matcher becomes a set of label pairs: those it wants, or, when a series without the label
//! would satisfy it, those it cannot stand. What is left of the candidates is checked series by series
//! when that is cheaper than looking at all values or postings.

use std::borrow::Cow;

use metricstor_model::{Matcher, Pattern};
use roaring::{MultiOps, RoaringBitmap};

use super::Index;
use super::postings::Postings;

/// Checking one series, or one value of a name: nanoseconds, about.
const CHECK_NS: u64 = 80;
/// Values that are looked at before it is known whether another matcher is cheaper.
const LOOKED_AT_MAX: usize = 256;

/// A matcher on its way to a set of series.
struct Term<'a> {
    matcher: &'a Matcher,
    /// The label name's number.
    name: u32,
    pairs: Pairs,
    /// Nanoseconds to find the carriers, about.
    cost: u64,
}

/// The pairs that decide: carried by the series that are kept, or by those that are dropped.
enum Pairs {
    All,
    These(Vec<u32>),
    /// Known after a look at every value of the name.
    Unknown,
}

impl Index {
    /// How many series satisfy every matcher, at most: told by the shortest list of carriers, and by
    /// what lists of single pairs have in common two by two.
    pub fn at_most(&self, matchers: &[Matcher]) -> u64 {
        let mut most = self.all.len();
        let mut shortest: Option<&Postings> = None;
        // To look at values takes longer than a microsecond.
        let is_told = |m: &&Matcher| !matches!(m.pattern(), Pattern::Prefix(_));
        let wants = |matcher: &&Matcher| !matcher.matches_empty();
        for matcher in matchers.iter().filter(wants).filter(is_told) {
            let Some(term) = self.term(matcher) else { return 0 };
            let Pairs::These(pairs) = &term.pairs else { continue };
            most = most.min(pairs.iter().map(|pair| self.pairs.series(*pair).len()).sum());
            let [pair] = pairs[..] else { continue };
            let carriers = self.pairs.series(pair);
            if let Some(shortest) = shortest {
                most = most.min(shortest.common(carriers));
            }
            if shortest.is_none_or(|shortest| carriers.len() < shortest.len()) {
                shortest = Some(carriers);
            }
        }
        most
    }

    /// Do these matchers exclude nobody, because no series has any label that they name?
    pub fn admits_all(&self, matchers: &[Matcher]) -> bool {
        let absent = |m: &Matcher| m.matches_empty() && self.pairs.find_name(&m.name).is_none();
        matchers.iter().all(absent)
    }

    /// The series that satisfy every matcher.
    pub fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let mut terms = Vec::with_capacity(matchers.len());
        for matcher in matchers {
            match self.term(matcher) {
                Some(term) => terms.push(term),
                None if matcher.matches_empty() => {}
                None => return RoaringBitmap::new(),
            }
        }
        let order = |term: &Term<'_>| {
            (matches!(term.pairs, Pairs::Unknown), term.matcher.matches_empty(), term.cost)
        };
        terms.sort_by_key(order);
        let mut candidates = None;
        for term in terms {
            let narrowed = self.narrow(candidates, term);
            if narrowed.is_empty() {
                return narrowed;
            }
            candidates = Some(narrowed);
        }
        candidates.unwrap_or_else(|| self.all.clone())
    }

    /// What a matcher asks for; `None` if no pair decides, so that only series without one remain.
    fn term<'a>(&self, matcher: &'a Matcher) -> Option<Term<'a>> {
        let name = self.pairs.find_name(&matcher.name)?;
        let values = self.pairs.name(name).pairs.len();
        // Are the deciding values those that the pattern describes, or all the others?
        let described = matcher.is_negative() == matcher.matches_empty();
        let pairs = match matcher.pattern() {
            Pattern::Any => return None,
            Pattern::NonEmpty => Pairs::All,
            Pattern::One("") => Pairs::All,
            Pattern::One(text) if described => Pairs::These(self.find(&matcher.name, [text])),
            Pattern::Set(set) if described && set.len() <= values => {
                Pairs::These(self.find(&matcher.name, set.iter().map(|text| &**text)))
            }
            Pattern::Prefix(prefix) if described => self.describe(name, matcher, prefix),
            Pattern::One(_) | Pattern::Set(_) | Pattern::Prefix(_) => Pairs::Unknown,
        };
        let cost = match &pairs {
            Pairs::All => postings_cost(self.pairs.name(name).series.len()),
            Pairs::These(pairs) if pairs.is_empty() => return None,
            Pairs::These(pairs) => {
                pairs.iter().map(|pair| postings_cost(self.pairs.series(*pair).len())).sum()
            }
            Pairs::Unknown => values as u64 * CHECK_NS,
        };
        Some(Term { matcher, name, pairs, cost })
    }

    /// The pairs whose values a matcher describes, if few have to be looked at.
    fn describe(&self, name: u32, matcher: &Matcher, prefix: &str) -> Pairs {
        match self.pairs.few_with_prefix(name, prefix, LOOKED_AT_MAX) {
            Some(mut pairs) => {
                pairs.retain(|pair| matcher.describes(self.pairs.text(*pair).1));
                Pairs::These(pairs)
            }
            None => Pairs::Unknown,
        }
    }

    fn find<'t>(&self, name: &str, values: impl IntoIterator<Item = &'t str>) -> Vec<u32> {
        values.into_iter().filter_map(|value| self.pairs.find(name, value)).collect()
    }

    fn narrow(&self, candidates: Option<RoaringBitmap>, term: Term<'_>) -> RoaringBitmap {
        let Term { matcher, name, pairs, cost } = term;
        if let Some(candidates) = &candidates
            && candidates.len() * CHECK_NS < cost
        {
            let fits = |series: &u32| self.satisfies(*series, matcher, name);
            return candidates.iter().filter(fits).collect();
        }
        let drop = matcher.matches_empty();
        let among = candidates.as_ref();
        let carriers = match pairs {
            Pairs::All => Cow::Borrowed(&self.pairs.name(name).series),
            Pairs::These(pairs) => self.carriers(&pairs, among),
            Pairs::Unknown => {
                self.carriers_where(name, |value| matcher.matches(value) != drop, among)
            }
        };
        match (candidates, drop) {
            (None, false) => carriers.into_owned(),
            (None, true) => &self.all - &*carriers,
            (Some(candidates), false) => candidates & &*carriers,
            (Some(candidates), true) => candidates - &*carriers,
        }
    }

    /// The series that have a value of this name for which `chosen` holds, at least those `among` some.
    fn carriers_where(
        &self,
        name: u32,
        chosen: impl Fn(&str) -> bool,
        among: Option<&RoaringBitmap>,
    ) -> Cow<'_, RoaringBitmap> {
        let name = self.pairs.name(name);
        let chosen = |pair: &u32| chosen(self.pairs.text(*pair).1);
        let (chosen, others): (Vec<u32>, Vec<u32>) = name.pairs.iter().partition(|p| chosen(p));
        // A series has one value of a name: the carriers of all others are what is left.
        if chosen.len() <= others.len() {
            self.carriers(&chosen, among)
        } else {
            Cow::Owned(&name.series - &*self.carriers(&others, among))
        }
    }

    /// The series that carry one of these pairs, at least those `among` some.
    fn carriers(&self, pairs: &[u32], among: Option<&RoaringBitmap>) -> Cow<'_, RoaringBitmap> {
        let postings = || pairs.iter().map(|pair| self.pairs.series(*pair));
        let mut few: Vec<u32> = postings().flat_map(|series| series.few()).copied().collect();
        few.sort_unstable();
        let few = few.into_iter().collect::<RoaringBitmap>();
        let many: Vec<&RoaringBitmap> = postings().filter_map(|series| series.many()).collect();
        match many.as_slice() {
            [] => Cow::Owned(few),
            [one] if few.is_empty() => Cow::Borrowed(one),
            many => Cow::Owned(few | union(many, among)),
        }
    }

    fn satisfies(&self, series: u32, matcher: &Matcher, name: u32) -> bool {
        let pair = self.pair_named(series, name);
        matcher.matches(pair.map_or("", |pair| self.pairs.text(pair).1))
    }
}

/// All members of these sets, at least those `among` some: to cut each with a few costs less than to
/// unite whole ones.
fn union(sets: &[&RoaringBitmap], among: Option<&RoaringBitmap>) -> RoaringBitmap {
    let members = || sets.iter().map(|set| set.len()).sum::<u64>();
    match among.filter(|among| among.len() < members()) {
        Some(among) => sets.iter().map(|set| common(set, among)).union(),
        None => sets.iter().copied().union(),
    }
}

/// The members of `set` that are `among` some. What came at one time, as a target's series do, stands in
/// a narrow span: then only the few in there are looked at.
fn common(set: &RoaringBitmap, among: &RoaringBitmap) -> RoaringBitmap {
    let (Some(min), Some(max)) = (set.min(), set.max()) else { return RoaringBitmap::new() };
    if among.range_cardinality(min..=max) < among.len() / 8 {
        among.range(min..=max).filter(|one| set.contains(*one)).collect()
    } else {
        set & among
    }
}

/// Nanoseconds to take in postings of this length, about: long ones are bitmaps.
fn postings_cost(len: u64) -> u64 {
    50 + len.min(1000 + len / 32)
}

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
/// Where one matcher leaves so few series, the others are asked series by series.
const FEW_SERIES: u64 = 128;

/// Of more pairs the series are not counted one by one: each is a few cache misses.
const COUNTED_MAX: usize = 16;

/// A matcher on its way to a set of series.
struct Term<'a> {
    matcher: &'a Matcher,
    /// The label name's number.
    name: u32,
    pairs: Pairs,
    /// Nanoseconds to find the carriers, about.
    cost: u64,
}

impl Term<'_> {
    /// Are few series left by this term alone?
    fn wants_few(&self) -> bool {
        let known = !matches!(self.pairs, Pairs::Unknown);
        known && !self.matcher.matches_empty() && self.cost < postings_cost(FEW_SERIES)
    }
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
        let wants = |matcher: &&Matcher| !matcher.matches_empty();
        for matcher in matchers.iter().filter(wants).filter(|m| !begins(m)) {
            let Some(term) = self.term(matcher, false) else { return 0 };
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
        let mut terms: Vec<Term<'_>> = Vec::with_capacity(matchers.len());
        let (beginnings, others): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| begins(m));
        for matcher in others.into_iter().chain(beginnings) {
            let few = terms.iter().any(Term::wants_few);
            match self.term(matcher, !few) {
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
    /// Values are looked at only if `look`.
    fn term<'a>(&self, matcher: &'a Matcher, look: bool) -> Option<Term<'a>> {
        let name = self.pairs.find_name(&matcher.name)?;
        let (values, series) =
            (self.pairs.name(name).pairs.len(), self.pairs.name(name).series.len());
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
            Pattern::Prefix(prefix) if described && look => self.describe(name, matcher, prefix),
            Pattern::Beginning(prefix) if described && look => self.beginning(name, prefix),
            _ => Pairs::Unknown,
        };
        let cost = match &pairs {
            Pairs::All => postings_cost(series),
            Pairs::These(pairs) if pairs.is_empty() => return None,
            Pairs::These(pairs) if pairs.len() > COUNTED_MAX => {
                pairs.len() as u64 * postings_cost(series / values as u64)
            }
            Pairs::These(pairs) => {
                pairs.iter().map(|pair| postings_cost(self.pairs.series(*pair).len())).sum()
            }
            Pairs::Unknown => values as u64 * CHECK_NS,
        };
        Some(Term { matcher, name, pairs, cost })
    }

    /// The pairs whose values a matcher describes, if few have to be looked at.
    fn describe(&self, name: u32, matcher: &Matcher, prefix: &str) -> Pairs {
        match self.pairs.with_prefix(name, prefix, LOOKED_AT_MAX) {
            Some(mut pairs) => {
                pairs.retain(|pair| matcher.describes(self.pairs.text(*pair).1));
                Pairs::These(pairs)
            }
            None => Pairs::Unknown,
        }
    }

    /// The pairs whose values begin with a text.
    fn beginning(&self, name: u32, prefix: &str) -> Pairs {
        match self.pairs.with_prefix(name, prefix, usize::MAX) {
            Some(pairs) if pairs.len() == self.pairs.name(name).pairs.len() => Pairs::All,
            Some(pairs) => Pairs::These(pairs),
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

    /// The series that carry one of these pairs of a name, at least those `among` some.
    fn carriers(&self, pairs: &[u32], among: Option<&RoaringBitmap>) -> Cow<'_, RoaringBitmap> {
        let postings = || pairs.iter().map(|pair| self.pairs.series(*pair));
        let mut few: Vec<u32> = postings().flat_map(|series| series.few()).copied().collect();
        let many: Vec<&RoaringBitmap> = postings().filter_map(|series| series.many()).collect();
        if let ([one], []) = (&many[..], &few[..]) {
            return Cow::Borrowed(one);
        }
        let members = many.iter().map(|set| set.len()).sum();
        // To cut each set with a few costs less than to unite whole ones.
        let many = match among.filter(|among| among.len() < members) {
            Some(among) => many.iter().filter_map(|set| cut(set, among, &mut few)).union(),
            None => many.iter().copied().union(),
        };
        few.sort_unstable();
        Cow::Owned(many | few.into_iter().collect::<RoaringBitmap>())
    }

    fn satisfies(&self, series: u32, matcher: &Matcher, name: u32) -> bool {
        let pair = self.pair_named(series, name);
        matcher.matches(pair.map_or("", |pair| self.pairs.text(pair).1))
    }
}

/// The members of `set` that are `among` some. What came at one time, as a target's series do, stands in
/// a narrow span: then only the few in there are looked at, and added to `few` instead.
fn cut(set: &RoaringBitmap, among: &RoaringBitmap, few: &mut Vec<u32>) -> Option<RoaringBitmap> {
    let (min, max) = (set.min()?, set.max()?);
    if among.range_cardinality(min..=max) < among.len() / 8 {
        few.extend(among.range(min..=max).filter(|one| set.contains(*one)));
        return None;
    }
    Some(set & among)
}

/// Does the matcher ask for values by what they begin with?
fn begins(matcher: &Matcher) -> bool {
    matches!(matcher.pattern(), Pattern::Prefix(_) | Pattern::Beginning(_))
}

/// Nanoseconds to take in postings of this length, about: long ones are bitmaps.
fn postings_cost(len: u64) -> u64 {
    50 + len.min(1000 + len / 32)
}

//! Patterns that are lists of texts with gaps: `lo|veth.*`, `node-00[0-4].*`, `.*foo.+bar`. Building an
//! automaton takes a hundred microseconds, which is more than most answers do.

use memchr::memmem::Finder;
use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use super::shape::{Edges, spend, texts};

/// Beyond this many alternatives the automaton is better.
const ALTERNATIVES_MAX: usize = 32;
/// Bytes of texts and gaps put together to find them: a hostile pattern costs no more.
const SIZE_MAX: usize = 16 << 10;

/// One or the other of these.
#[derive(Debug)]
pub(super) struct Pieces {
    /// What all begin with.
    pub prefix: Box<str>,
    alternatives: Vec<Alternative>,
}

/// Literal texts in this order with anything between them: `head.*middle.+tail`.
#[derive(Debug)]
struct Alternative {
    head: Box<str>,
    rest: Option<Rest>,
}

/// What follows a head that is not the whole text.
#[derive(Debug)]
struct Rest {
    /// Each with the bytes that must at least stand before it.
    middle: Vec<(usize, Finder<'static>)>,
    /// Bytes that must at least stand before the tail.
    gap: usize,
    tail: Box<str>,
}

impl Pieces {
    /// `None` if it takes more than texts and gaps to say what the pattern means.
    pub fn of(hir: &Hir) -> Option<Self> {
        let edges = Edges { start: true, end: true };
        let mut budget = SIZE_MAX;
        let sequences = sequences(hir, edges, &mut budget)?;
        let alternatives =
            sequences.into_iter().map(Sequence::alternative).collect::<Option<Vec<_>>>()?;
        let prefix = common_prefix(&alternatives);
        Some(Self { prefix, alternatives })
    }

    #[inline]
    pub fn contains(&self, value: &str) -> bool {
        value.starts_with(&*self.prefix) && self.alternatives.iter().any(|one| one.is(value))
    }

    /// The least number of bytes of a text, if that is all that is asked for.
    pub fn only_length(&self) -> Option<usize> {
        let [Alternative { head, rest: Some(rest) }] = self.alternatives.as_slice() else {
            return None;
        };
        let all = head.is_empty() && rest.middle.is_empty() && rest.tail.is_empty();
        all.then_some(rest.gap)
    }

    /// Is the prefix all that is asked for?
    pub fn only_prefix(&self) -> bool {
        let [Alternative { rest: Some(rest), .. }] = self.alternatives.as_slice() else {
            return false;
        };
        rest.middle.is_empty() && rest.tail.is_empty() && rest.gap == 0
    }

    /// Bytes of memory.
    pub fn size(&self) -> usize {
        let rest = |rest: &Rest| {
            let middle = rest.middle.iter().map(|(_, finder)| finder.needle().len());
            rest.tail.len()
                + middle.map(|len| len + size_of::<(usize, Finder<'_>)>()).sum::<usize>()
        };
        let one = |one: &Alternative| {
            size_of::<Alternative>() + one.head.len() + one.rest.as_ref().map_or(0, rest)
        };
        size_of::<Self>() + self.prefix.len() + self.alternatives.iter().map(one).sum::<usize>()
    }
}

impl Alternative {
    #[inline]
    fn is(&self, value: &str) -> bool {
        let Some(rest) = value.strip_prefix(&*self.head) else { return false };
        self.rest.as_ref().map_or(rest.is_empty(), |pieces| pieces.are_in(rest))
    }
}

impl Rest {
    /// Takes each piece where it first occurs: that leaves most room for the others.
    #[inline]
    fn are_in(&self, value: &str) -> bool {
        let inner = value.strip_suffix(&*self.tail);
        let Some(mut rest) = inner.map(str::as_bytes) else { return false };
        for (gap, finder) in &self.middle {
            let Some(from) = rest.get(*gap..) else { return false };
            let Some(at) = finder.find(from) else { return false };
            rest = &from[at + finder.needle().len()..];
        }
        rest.len() >= self.gap
    }
}

/// Texts and gaps as the pattern has them: a text, and what follows it.
#[derive(Clone)]
struct Sequence {
    head: String,
    /// The bytes of a gap, at least, and the text behind it.
    rest: Vec<(usize, String)>,
}

impl Sequence {
    fn text(head: String) -> Self {
        Self { head, rest: vec![] }
    }

    fn then(&self, next: &Self, budget: &mut usize) -> Option<Self> {
        spend(budget, self.size() + next.size())?;
        let mut joined = self.clone();
        joined.rest.last_mut().map_or(&mut joined.head, |(_, text)| text).push_str(&next.head);
        joined.rest.extend_from_slice(&next.rest);
        Some(joined)
    }

    fn size(&self) -> usize {
        self.head.len() + self.rest.iter().map(|(_, text)| 1 + text.len()).sum::<usize>()
    }

    fn alternative(self) -> Option<Alternative> {
        let mut merged: Vec<(usize, String)> = Vec::new();
        for (gap, text) in self.rest {
            match merged.last_mut().filter(|(_, text)| text.is_empty()) {
                // At least two characters are not at least two bytes.
                Some((before, _)) if *before + gap > 1 => return None,
                Some(last) => *last = (last.0 + gap, text),
                None => merged.push((gap, text)),
            }
        }
        let rest = merged.pop().map(|(gap, tail)| {
            let finder = |text: &str| Finder::new(text).into_owned();
            let middle = merged.iter().map(|(gap, text)| (*gap, finder(text))).collect();
            Rest { middle, gap, tail: tail.into() }
        });
        Some(Alternative { head: self.head.into(), rest })
    }
}

fn sequences(hir: &Hir, edges: Edges, budget: &mut usize) -> Option<Vec<Sequence>> {
    let all = match hir.kind() {
        HirKind::Repetition(Repetition { min: min @ (0 | 1), max: None, sub, .. })
            if is_any_char(sub) =>
        {
            let gap = (*min as usize, String::new());
            vec![Sequence { head: String::new(), rest: vec![gap] }]
        }
        HirKind::Capture(capture) => sequences(&capture.sub, edges, budget)?,
        HirKind::Alternation(alternatives) => {
            let mut all = Vec::new();
            for alternative in alternatives {
                all.append(&mut sequences(alternative, edges, budget)?);
                few(all.len())?;
            }
            all
        }
        HirKind::Concat(parts) => {
            let mut all = vec![Sequence::text(String::new())];
            for (i, part) in parts.iter().enumerate() {
                let next = sequences(part, edges.of_part(i, parts.len()), budget)?;
                few(all.len() * next.len())?;
                let joined = all.iter().flat_map(|one| next.iter().map(move |next| (one, next)));
                all = joined.map(|(one, next)| one.then(next, budget)).collect::<Option<_>>()?;
            }
            all
        }
        _ => texts(hir, edges, budget)?.into_iter().map(Sequence::text).collect(),
    };
    few(all.len())?;
    Some(all)
}

fn few(alternatives: usize) -> Option<()> {
    (1..=ALTERNATIVES_MAX).contains(&alternatives).then_some(())
}

fn is_any_char(hir: &Hir) -> bool {
    let HirKind::Class(Class::Unicode(class)) = hir.kind() else { return false };
    matches!(class.ranges(), [all] if all.start() == '\0' && all.end() == char::MAX)
}

fn common_prefix(alternatives: &[Alternative]) -> Box<str> {
    let mut heads = alternatives.iter().map(|one| &*one.head);
    let first = heads.next().unwrap_or("");
    let common = heads.fold(first.len(), |common, head| {
        let same = first[..common].char_indices().zip(head.chars());
        same.take_while(|((_, a), b)| a == b).last().map_or(0, |((at, a), _)| at + a.len_utf8())
    });
    first[..common].into()
}

//! What a regular expression really asks for, and the cheapest way to answer it.
//!
//! Invariant: every shape accepts exactly the texts that the automaton of its pattern accepts.

use regex_automata::meta::{Config, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::hir::literal::Extractor;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

use super::pieces::Pieces;
use super::{Pattern, parser};

/// Longest accepted pattern, in bytes. Grafana's multi-value variables make alternations of
/// thousands of literals, so this is generous.
const PATTERN_SIZE_MAX: usize = 1 << 20;
/// Largest accepted compiled program, in bytes: thousands of names of hosts whose dots are not escaped.
pub(super) const PROGRAM_SIZE_MAX: usize = 24 << 20;
/// Bytes of all texts that a pattern is unfolded to; a list as long as a pattern fits.
const SET_SIZE_MAX: usize = 4 * PATTERN_SIZE_MAX;
/// Beyond this many texts made by combination (`[a-z][0-9]`), the automaton is better.
const COMBINATIONS_MAX: usize = 1024;

#[derive(Debug)]
pub(super) enum Shape {
    Any,
    NonEmpty,
    /// Sorted, each once.
    Set(Box<[Box<str>]>),
    Pieces(Pieces),
    Automaton {
        regex: Regex,
        /// What every accepted text begins with.
        prefix: Box<str>,
    },
}

/// Why a pattern has no shape.
pub(super) enum Unfit {
    Wrong(String),
    TooLarge(String),
}

impl Shape {
    /// `program_size_max` are the bytes that a list of texts or an automaton may take.
    pub(super) fn of(pattern: &str, program_size_max: usize) -> Result<Self, Unfit> {
        if pattern.len() > PATTERN_SIZE_MAX {
            return Err(Unfit::Wrong(format!("longer than {PATTERN_SIZE_MAX} bytes")));
        }
        let hir = parser::parse(pattern).map_err(|fault| Unfit::Wrong(fault.0))?;
        let mut budget = SET_SIZE_MAX.min(program_size_max);
        if let Some(mut texts) = texts(&hir, Edges { start: true, end: true }, &mut budget) {
            texts.sort_unstable();
            texts.dedup();
            return Ok(Self::Set(texts.into_iter().map(String::into_boxed_str).collect()));
        }
        if let Some(pieces) = Pieces::of(&hir) {
            return Ok(match pieces.only_length() {
                Some(0) => Self::Any,
                Some(_) => Self::NonEmpty,
                None => Self::Pieces(pieces),
            });
        }
        let prefix = prefix(&hir);
        let anchored = Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]);
        let regex = automaton(&anchored, program_size_max)?;
        Ok(Self::Automaton { regex, prefix })
    }

    #[inline]
    pub(super) fn contains(&self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::NonEmpty => !value.is_empty(),
            Self::Set(set) => set.binary_search_by(|text| (**text).cmp(value)).is_ok(),
            Self::Pieces(pieces) => pieces.contains(value),
            Self::Automaton { regex, prefix } => {
                value.starts_with(&**prefix) && regex.is_match(value)
            }
        }
    }

    /// Bytes of memory.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Any | Self::NonEmpty => size_of::<Self>(),
            Self::Pieces(pieces) => pieces.size(),
            Self::Set(set) => set.iter().map(|text| size_of::<Box<str>>() + text.len()).sum(),
            Self::Automaton { regex, .. } => regex.memory_usage(),
        }
    }

    pub(super) fn pattern(&self) -> Pattern<'_> {
        match self {
            Self::Any => Pattern::Any,
            Self::NonEmpty => Pattern::NonEmpty,
            Self::Set(set) => Pattern::Set(set),
            Self::Pieces(pieces) if pieces.only_prefix() => Pattern::Beginning(&pieces.prefix),
            Self::Pieces(pieces) => Pattern::Prefix(&pieces.prefix),
            Self::Automaton { prefix, .. } => Pattern::Prefix(prefix),
        }
    }
}

fn automaton(hir: &Hir, size_max: usize) -> Result<Regex, Unfit> {
    let config = Config::new().nfa_size_limit(Some(size_max)).which_captures(WhichCaptures::None);
    Regex::builder().configure(config).build_from_hir(hir).map_err(|error| {
        let too_large = error.size_limit().is_some();
        if too_large {
            return Unfit::TooLarge(format!("its program would be larger than {size_max} bytes"));
        }
        Unfit::Wrong(error.to_string())
    })
}

/// Whether an expression stands at the very start or end, where `^` and `$` always hold.
#[derive(Clone, Copy)]
pub(super) struct Edges {
    pub start: bool,
    pub end: bool,
}

impl Edges {
    /// Those of one of the parts of a concatenation.
    pub fn of_part(self, i: usize, parts: usize) -> Self {
        Self { start: self.start && i == 0, end: self.end && i + 1 == parts }
    }
}

/// All texts that an expression matches, if they are few; repeated ones included.
pub(super) fn texts(hir: &Hir, edges: Edges, budget: &mut usize) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Look(Look::Start) if edges.start => Some(vec![String::new()]),
        HirKind::Look(Look::End) if edges.end => Some(vec![String::new()]),
        HirKind::Look(_) => None,
        HirKind::Literal(text) => {
            let text = std::str::from_utf8(&text.0).ok()?;
            spend(budget, text.len())?;
            Some(vec![text.to_owned()])
        }
        HirKind::Class(Class::Unicode(class)) => {
            let chars = class.ranges().iter().map(|r| r.len()).sum::<usize>();
            (chars <= COMBINATIONS_MAX).then_some(())?;
            spend(budget, 4 * chars)?;
            Some(class.iter().flat_map(|r| r.start()..=r.end()).map(String::from).collect())
        }
        // What matches nothing is represented so.
        HirKind::Class(Class::Bytes(class)) => class.ranges().is_empty().then(Vec::new),
        HirKind::Capture(capture) => texts(&capture.sub, edges, budget),
        HirKind::Repetition(repetition) => repeated_texts(repetition, edges, budget),
        HirKind::Alternation(alternatives) => {
            let mut all = Vec::new();
            for alternative in alternatives {
                all.append(&mut texts(alternative, edges, budget)?);
            }
            Some(all)
        }
        HirKind::Concat(parts) => {
            let mut all = vec![String::new()];
            for (i, part) in parts.iter().enumerate() {
                let texts = texts(part, edges.of_part(i, parts.len()), budget)?;
                all = combine(all, &texts, budget)?;
            }
            Some(all)
        }
    }
}

fn repeated_texts(
    repetition: &Repetition,
    edges: Edges,
    budget: &mut usize,
) -> Option<Vec<String>> {
    let max = repetition.max.filter(|max| *max <= 16)?;
    let edges = if max == 1 { edges } else { Edges { start: false, end: false } };
    let one = texts(&repetition.sub, edges, budget)?;
    let mut times = vec![String::new()];
    let mut all = Vec::new();
    for n in 0..=max {
        if n > 0 {
            times = combine(times, &one, budget)?;
        }
        if n >= repetition.min {
            spend(budget, times.iter().map(String::len).sum())?;
            all.extend_from_slice(&times);
        }
        (all.len() <= COMBINATIONS_MAX).then_some(())?;
    }
    Some(all)
}

/// Every text of `left` followed by every text of `right`.
fn combine(mut left: Vec<String>, right: &[String], budget: &mut usize) -> Option<Vec<String>> {
    if let [only] = right {
        spend(budget, left.len() * only.len())?;
        left.iter_mut().for_each(|text| text.push_str(only));
        return Some(left);
    }
    (left.len() <= 1 || left.len() * right.len() <= COMBINATIONS_MAX).then_some(())?;
    let mut all = Vec::with_capacity(left.len() * right.len());
    for l in &left {
        for r in right {
            spend(budget, l.len() + r.len())?;
            all.push([l.as_str(), r].concat());
        }
    }
    Some(all)
}

pub(super) fn spend(budget: &mut usize, bytes: usize) -> Option<()> {
    *budget = budget.checked_sub(bytes)?;
    Some(())
}

/// The longest text that every match begins with, as far as it is found cheaply.
fn prefix(hir: &Hir) -> Box<str> {
    let literals = Extractor::new().extract(hir);
    let bytes = literals.longest_common_prefix().unwrap_or_default();
    let whole = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    whole.into()
}

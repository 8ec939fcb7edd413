//! How well a text fits what somebody typed: scores from 0 to 1, as Prometheus' search API gives them.

/// How a text that does not contain the typed one may still fit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Its characters stand in the text in their order.
    Subsequence,
    /// Enough of the characters agree, the first ones above all.
    JaroWinkler,
}

/// What was typed; a text fits when it fits one of the terms.
pub struct Filter {
    /// In lower case when case does not matter.
    terms: Vec<Vec<char>>,
    algorithm: Algorithm,
    /// The lowest score that fits.
    threshold: f64,
    case_sensitive: bool,
}

impl Filter {
    /// Empty terms are left out; without any, everything fits.
    pub fn new<'a>(
        terms: impl Iterator<Item = &'a str>,
        algorithm: Algorithm,
        threshold: f64,
        case_sensitive: bool,
    ) -> Self {
        let fold = |text: &str| characters(text, case_sensitive);
        let terms = terms.filter(|term| !term.is_empty()).map(fold).collect();
        Self { terms, algorithm, threshold, case_sensitive }
    }

    /// The best score of any term; `None` if the text does not fit.
    pub fn score(&self, text: &str) -> Option<f64> {
        if self.terms.is_empty() {
            return Some(1.0);
        }
        let text = characters(text, self.case_sensitive);
        self.terms.iter().filter_map(|term| self.one(term, &text)).reduce(f64::max)
    }

    fn one(&self, term: &[char], text: &[char]) -> Option<f64> {
        if text.starts_with(term) {
            return Some(1.0);
        }
        let fits = |score: f64| (score >= self.threshold).then_some(score);
        match self.algorithm {
            Algorithm::Subsequence => fits(subsequence(term, text)?),
            Algorithm::JaroWinkler => contained(term, text)
                .or_else(|| fits(jaro_winkler(term, text)).filter(|_| self.threshold > 0.0)),
        }
    }
}

fn characters(text: &str, case_sensitive: bool) -> Vec<char> {
    if case_sensitive { text.chars().collect() } else { text.to_lowercase().chars().collect() }
}

/// The earlier it stands the better; not a prefix.
fn contained(term: &[char], text: &[char]) -> Option<f64> {
    let at = text.windows(term.len()).position(|window| window == term)?;
    Some(1.0 - 0.9 * at as f64 / (text.len() - term.len()) as f64)
}

/// Long runs score, gaps cost; the best of all places to start, or `None` if there is none.
fn subsequence(term: &[char], text: &[char]) -> Option<f64> {
    let starts = (0..=text.len().checked_sub(term.len())?).filter(|at| text[*at] == term[0]);
    // When the rest of the term is not found after one start, it is not found after a later one.
    let best = starts.map_while(|at| subsequence_from(term, text, at)).reduce(f64::max)?;
    let score = best / (term.len() * term.len()) as f64 * 0.999;
    (score > 0.0).then_some(score)
}

/// From `start` on, where the term's first character stands, always the next occurrence.
fn subsequence_from(term: &[char], text: &[char], start: usize) -> Option<f64> {
    let unit = 1.0 / text.len() as f64;
    let (mut score, mut matched, mut end) = (0.0, 0, 0);
    let mut at = start;
    while matched < term.len() {
        at += text[at..].iter().position(|c| *c == term[matched])?;
        let run = text[at..].iter().zip(&term[matched..]).take_while(|(a, b)| a == b).count();
        score += (run * run) as f64 - (at - end) as f64 * unit;
        matched += run;
        at += run;
        end = at;
    }
    Some(score - (text.len() - end) as f64 * unit * 0.5)
}

fn jaro_winkler(a: &[char], b: &[char]) -> f64 {
    let (short, long) = if a.len() > b.len() { (b, a) } else { (a, b) };
    let reach = (long.len() / 2).saturating_sub(1);
    let (mut in_short, mut in_long) = (Vec::new(), vec![false; long.len()]);
    for (i, character) in short.iter().enumerate() {
        let window = i.saturating_sub(reach)..(i + reach + 1).min(long.len());
        if let Some(j) = window.into_iter().find(|j| !in_long[*j] && long[*j] == *character) {
            in_long[j] = true;
            in_short.push(*character);
        }
    }
    if in_short.is_empty() {
        return 0.0;
    }
    let matches = in_short.len() as f64;
    let agreeing = long.iter().zip(&in_long).filter(|(_, matched)| **matched).map(|(c, _)| c);
    let moved = in_short.iter().zip(agreeing).filter(|(a, b)| a != b).count() as f64;
    let jaro = (matches / short.len() as f64
        + matches / long.len() as f64
        + (matches - moved * 0.5) / matches)
        / 3.0;
    let prefix = short.iter().zip(long).take(4).take_while(|(a, b)| a == b).count();
    jaro + prefix as f64 * 0.1 * (1.0 - jaro)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn score(term: &str, text: &str, algorithm: Algorithm, threshold: f64) -> Option<f64> {
        let score = Filter::new([term].into_iter(), algorithm, threshold, false).score(text);
        score.map(|score| (score * 1000.0).round() / 1000.0)
    }

    #[test]
    fn prefixes_are_best_and_runs_beat_gaps() {
        let score = |term, text| score(term, text, Algorithm::Subsequence, 0.0);
        assert_eq!(score("", "anything"), Some(1.0));
        assert_eq!(score("HTTP", "http_requests"), Some(1.0));
        // 16 for the run, less 5 before it and half of 4 after it, in twelfths.
        assert_eq!(score("http", "total_http_x"), Some(0.963));
        assert_eq!(score("ht", "hat"), Some(0.416));
        assert_eq!(score("aab", "abaab"), Some(0.955));
        assert_eq!(score("ba", "ab"), None);
        assert_eq!(score("longer", "long"), None);
        assert_eq!(score("é", "café"), Some(0.25));
    }

    #[test]
    fn contained_texts_score_by_their_place_and_similar_ones_by_agreement() {
        let score = |term, text, threshold| score(term, text, Algorithm::JaroWinkler, threshold);
        assert_eq!(score("up", "up", 1.0), Some(1.0));
        assert_eq!(score("b", "abc", 1.0), Some(0.55));
        assert_eq!(score("martha", "marhta", 0.5), Some(0.961));
        assert_eq!(score("dwayne", "duane", 0.5), Some(0.84));
        assert_eq!(score("martha", "marhta", 0.0), None);
        assert_eq!(score("abc", "xyz", 0.1), None);
    }

    proptest! {
        #[test]
        fn scores_are_between_nothing_and_one(term in "\\PC{0,6}", text in "\\PC{0,12}") {
            for algorithm in [Algorithm::Subsequence, Algorithm::JaroWinkler] {
                let score = score(&term, &text, algorithm, 0.01);
                prop_assert!(score.is_none_or(|score| (0.0..=1.0).contains(&score)));
            }
        }
    }
}

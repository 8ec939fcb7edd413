//! Texts made to hurt: deep, long, random. Each is refused or parsed, quickly, on a small stack.

use std::time::{Duration, Instant};

use super::{parse, valid};

/// What a thread has by default.
const STACK: usize = 2 << 20;

fn on_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread");
    thread.join().expect("no panic and no overflow");
}

#[test]
fn deep_and_long_texts_are_refused_quickly() {
    on_small_stack(|| {
        let begin = Instant::now();
        for unit in ["(", "-", "abs(", "sum(", "1^", "foo+", "foo or ", "foo[5m:", "- -("] {
            for count in [600, 5000, 100_000] {
                let closing = if unit.ends_with('(') { ")".repeat(count) } else { String::new() };
                assert!(parse(&format!("{}x{closing}", unit.repeat(count))).is_err(), "{unit}");
            }
        }
        for unit in ["[5m:]", " offset 5m", "{", "["] {
            assert!(parse(&format!("x{}", unit.repeat(10_000))).is_err(), "{unit}");
        }
        for unit in ["(", "-", "5m+", "step()^", "min_of(1,"] {
            for count in [300, 10_000] {
                assert!(parse(&format!("x[{}1]", unit.repeat(count))).is_err(), "{unit}");
            }
        }
        // Debug builds are slow; the point is that nothing is quadratic in the text.
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    });
}

#[test]
fn the_deepest_allowed_trees_parse_print_and_drop() {
    on_small_stack(|| {
        for unit in ["(", "-", "foo+", "1^", "abs(", "foo or (", "sum by (a) (-"] {
            let deepest = (1..super::DEPTH_MAX)
                .rev()
                .map(|count| {
                    let closing = unit.matches("(").count() - unit.matches(")").count();
                    format!("{}x{}", unit.repeat(count), ")".repeat(closing * count))
                })
                .find_map(|text| parse(&text).ok())
                .expect("some depth is allowed");
            assert!(super::pretty(&deepest).len() > super::DEPTH_MAX / 4);
            super::describe(&deepest);
        }
    });
}

/// xorshift64*: bounded, seeded, without a dependency.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % bound
    }
}

#[test]
fn mutated_texts_never_panic_and_print_to_what_parses_again() {
    const ALPHABET: &[u8] = b"()[]{}+-*/%^=!~<>@:,.\"'`\\#_0159aefmsxyNI \n\xc3\xa4\xef\xbf\xbd";
    let mut random = Random(0x1234_5678_9abc_def1);
    let seeds = valid();
    let rounds = std::env::var("METRICSTOR_FUZZ_ROUNDS");
    let rounds = rounds.map_or(20_000, |rounds| rounds.parse().expect("a number of rounds"));
    let mut parsed = 0;
    for round in 0..rounds {
        let mut bytes = seeds[round % seeds.len()].clone().into_bytes();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len() + 1);
            match random.below(4) {
                0 => bytes.insert(at, ALPHABET[random.below(ALPHABET.len())]),
                1 if at < bytes.len() => bytes[at] = ALPHABET[random.below(ALPHABET.len())],
                2 if at < bytes.len() => drop(bytes.remove(at)),
                _ => {
                    let other = seeds[random.below(seeds.len())].as_bytes();
                    let from = random.below(other.len());
                    let to = (from + random.below(8)).min(other.len());
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(expr) = parse(&text) {
            parsed += 1;
            let printed = expr.to_string();
            if !is_reversible(&printed, &text) {
                continue;
            }
            let again = parse(&printed).unwrap_or_else(|error| panic!("{printed}: {error}"));
            assert_eq!(super::shape(&again), super::shape(&expr), "{text}");
        }
    }
    assert!(parsed > rounds / 10, "only {parsed} mutants parsed: the test has lost its point");
}

/// Prometheus' spelling, which is ours, loses some rarities: what is below a millisecond prints as
/// 0s, which is no range and has no sign; infinity prints with a sign, which takes a power behind
/// it; of signs before a computed offset a plus is lost, and with it where the offset ends; the
/// replacement character prints as itself, which the lexer takes for broken UTF-8.
fn is_reversible(printed: &str, text: &str) -> bool {
    let computed_offset = text.to_ascii_lowercase().contains("offset")
        && ["(", "%", "^", "*", "/", "+", "-"].iter().any(|op| printed.contains(op));
    !computed_offset && !["0s", "+Inf", "\u{fffd}"].iter().any(|odd| printed.contains(odd))
}

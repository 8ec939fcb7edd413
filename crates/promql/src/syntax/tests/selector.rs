//! Bare selectors, with the texts of a Prometheus 3.5.

use super::{ParseError, ParseOptions};
use metricstor_model::Matcher;

fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    super::parse_selector(text, ParseOptions::default())
}

#[test]
fn a_selector_alone_gives_its_matchers() {
    let names = |text: &str| -> Vec<String> {
        let matchers = parse_selector(text).expect("valid");
        matchers.into_iter().map(|m| format!("{}={}", m.name, m.value)).collect()
    };
    assert_eq!(names(r#"up{a="b"}"#), ["a=b", "__name__=up"]);
    assert_eq!(names("sum"), ["__name__=sum"]);
    assert_eq!(names("{}"), [""; 0]);
}

#[test]
fn anything_more_than_a_selector_is_unexpected() {
    for (text, error) in [
        ("up[", r#"1:3: parse error: unexpected "[""#),
        ("up offset 5m", "1:4: parse error: unexpected <offset>"),
        ("up + 1", "1:4: parse error: unexpected <op:+>"),
        ("", "unknown position: parse error: unexpected end of input"),
        ("1", r#"1:1: parse error: unexpected number "1""#),
        (r#"{a="b"} x"#, r#"1:9: parse error: unexpected identifier "x""#),
        ("sum(up)", r#"1:4: parse error: unexpected "(""#),
    ] {
        assert_eq!(parse_selector(text).expect_err(text).to_string(), error, "{text}");
    }
}

#[test]
fn regular_expressions_share_a_bound_that_names_its_setting() {
    let small = ParseOptions { regex_memory_max: 1 << 20, ..ParseOptions::default() };
    let refused = |text: &str| {
        let error = super::parse_with(text, small).expect_err(text);
        assert_eq!(error.limit, Some("query_regexes"));
        assert!(error.message.contains("query.max_regex_memory (1048576 bytes)"), "{error}");
        assert!(super::parse(text).is_ok(), "{text}");
    };
    refused(r#"up{a=~"\\pL{100}"}"#);
    let letters: Vec<String> = (0..100).map(|i| format!(r#"up{{a=~"\\pL{i}"}}"#)).collect();
    assert!(super::parse_with(&letters[1], small).is_ok(), "each for itself is small");
    refused(&letters.join(" or "));
}

//! Bare selectors, with the texts of a Prometheus 3.5.

use super::parse_selector;

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

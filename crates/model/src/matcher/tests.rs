//! The dialect is RE2's, and every short cut answers as the automaton does.

use proptest::prelude::*;
use regex_automata::meta::Regex;

use super::*;

fn regex(pattern: &str) -> Matcher {
    Matcher::new(MatchOp::Regex, "l", pattern).unwrap()
}

fn set_of(pattern: &str) -> Vec<String> {
    match regex(pattern).pattern() {
        Pattern::Set(set) => set.iter().map(|text| text.to_string()).collect(),
        other => panic!("{pattern}: {other:?}"),
    }
}

#[test]
fn alternations_small_classes_and_options_are_sets() {
    assert_eq!(set_of("b|a|b"), ["a", "b"]);
    assert_eq!(set_of("^(?:a|b)$"), ["a", "b"]);
    assert_eq!(set_of("node-(1|2[ab])?"), ["node-", "node-1", "node-2a", "node-2b"]);
    assert_eq!(
        set_of(r"10\.0\.0\.[1-3]:9100"),
        ["10.0.0.1:9100", "10.0.0.2:9100", "10.0.0.3:9100"]
    );
    assert_eq!(set_of("a{2,3}"), ["aa", "aaa"]);
    assert_eq!(set_of("(?i)ab"), ["AB", "Ab", "aB", "ab"]);
    assert_eq!(set_of("(?i)k"), ["K", "k", "\u{212a}"]);
    assert_eq!(set_of(r"\Qa.b\E|\x{e9}|\101"), ["A", "a.b", "é"]);
    assert_eq!(set_of("a|"), ["", "a"]);
    assert_eq!(set_of("(^|x)a"), ["a", "xa"]);
    assert_eq!(set_of(r"\x{d800}"), Vec::<String>::new());
}

#[test]
fn thousands_of_literals_are_a_set() {
    let names: Vec<String> = (0..10_000).map(|i| format!(r"host-{i:05}\.example\.com")).collect();
    let matcher = regex(&format!("({})", names.join("|")));
    assert!(matches!(matcher.pattern(), Pattern::Set(set) if set.len() == 10_000));
    assert!(matcher.matches("host-07001.example.com"));
    assert!(!matcher.matches("host-07001xexample.com"));
}

#[test]
fn what_is_not_a_set_shows_its_prefix() {
    assert_eq!(regex(".*").pattern(), Pattern::Any);
    assert_eq!(regex("(?:.*)").pattern(), Pattern::Any);
    assert_eq!(regex("^.+$").pattern(), Pattern::NonEmpty);
    assert_eq!(regex("node_.*").pattern(), Pattern::Beginning("node_"));
    assert_eq!(regex("node_.+").pattern(), Pattern::Prefix("node_"));
    assert_eq!(regex("node_[a-z]+").pattern(), Pattern::Prefix("node_"));
    assert_eq!(regex("(?:node_a|node_b).*").pattern(), Pattern::Prefix("node_"));
    assert_eq!(regex(".*foo").pattern(), Pattern::Prefix(""));
    assert_eq!(regex("node-00[0-4].*").pattern(), Pattern::Prefix("node-00"));
    assert_eq!(regex("lo|veth.*").pattern(), Pattern::Prefix(""));
    assert_eq!(regex("xé.*|xè|xéa").pattern(), Pattern::Prefix("x"));
    assert_eq!(Matcher::equal("l", "x").pattern(), Pattern::One("x"));
}

#[test]
fn anchored_and_across_newlines() {
    assert!(!regex("b").matches("abc"));
    assert!(regex("a.c").matches("a\nc"));
    assert!(regex(".*").matches("a\nb"));
    assert!(!regex("(?-s).*").matches("a\nb"));
    assert!(regex("(?m)a$.*").matches("a\nb"));
    assert!(!regex("a|b").matches("ab"));
    assert!(!regex("foo|bar.*").matches("foobar"));
    assert!(!Matcher::new(MatchOp::NotRegex, "l", "a.*").unwrap().matches("ab"));
}

#[test]
fn alternatives_with_gaps() {
    for (pattern, fits, others) in [
        ("lo|veth.*", vec!["lo", "veth", "vethx"], vec!["", "lox", "vet", "xlo"]),
        ("node-0[0-4].*:9", vec!["node-00:9", "node-04x:9"], vec!["node-05:9", "node-00"]),
        ("(a|b.+)c(.*d|)", vec!["ac", "bxc", "acd", "bxcxd"], vec!["bc", "acx", "d"]),
        ("(?:.*|b)c", vec!["c", "bc", "xc"], vec!["b", ""]),
        ("(a.*|)(.+|b)", vec!["b", "x", "a", "axb"], vec![""]),
        ("(?i)a.*", vec!["a", "Ab"], vec!["b", ""]),
    ] {
        let matcher = regex(pattern);
        fits.iter().for_each(|text| assert!(matcher.matches(text), "{pattern} {text:?}"));
        others.iter().for_each(|text| assert!(!matcher.matches(text), "{pattern} {text:?}"));
    }
}

#[test]
fn perl_classes_are_ascii() {
    assert!(regex(r"\w+").matches("az_09") && !regex(r"\w+").matches("é"));
    assert!(!regex(r"\d").matches("٣"));
    assert!(regex(r"\s").matches("\u{c}") && !regex(r"\s").matches("\u{b}"));
    assert!(regex("[[:space:]]").matches("\u{b}"));
    assert!(regex(r"é\b.*").matches("éa") && !regex(r"a\b.*").matches("ab"));
    assert!(regex(r"\p{Greek}+").matches("αβγ") && regex(r"\P{Lu}").matches("a"));
}

#[test]
fn emptiness_is_known_beforehand() {
    for (op, value, empty) in [
        (MatchOp::Equal, "", true),
        (MatchOp::Equal, "a", false),
        (MatchOp::NotEqual, "", false),
        (MatchOp::NotEqual, "a", true),
        (MatchOp::Regex, "a?", true),
        (MatchOp::Regex, ".+", false),
        (MatchOp::NotRegex, ".+", true),
        (MatchOp::NotRegex, ".*", false),
    ] {
        let matcher = Matcher::new(op, "l", value).unwrap();
        assert_eq!(matcher.matches_empty(), empty, "{op:?} {value}");
    }
}

/// Go's `regexp/syntax` accepts these.
#[test]
fn valid_as_in_re2() {
    for pattern in [
        "",
        "|",
        "()",
        "(|a)*",
        "a*",
        "a*?",
        "a+?",
        "a??",
        "a{2}?",
        "^*",
        "$+",
        r"\b+",
        "(?i)(?s-m:a)(?U)b",
        "(?)",
        "(?:)",
        "(?P<n>a)",
        "(?<n_1>a)",
        "a(?i)*",
        "a*(?i)*",
        r"\Qa*b",
        r"\Q\E",
        r"a\Qb\E*",
        r"\pL",
        r"\p{^Greek}",
        r"\P{^Lu}",
        r"\p{Any}",
        "[]a]",
        "[^]a]",
        "[a-]",
        "[-a]",
        "[a-b-c]",
        r"[\d-z]",
        "[[:alpha:][:^digit:]]",
        "[a&&b]",
        "[[a]",
        "[[:]",
        "a]",
        "a}",
        "{",
        "a{",
        "a{1",
        "a{,2}",
        "a{1,2",
        "a{01}",
        "a{x}",
        "{}",
        "x{1000}",
        "(a{10}){100}",
        r"\x41",
        r"\x{10FFFF}",
        r"\x{000000041}",
        r"\07",
        r"\123",
        r"\0",
        r"\_",
        r"\-",
        r"\z",
        r"\A",
        r"\a\f\t\n\r\v",
        r"[\x00-\x{10FFFF}]",
        r"\x{d800}",
        r"[\x{d000}-\x{e000}]",
        "é*",
    ] {
        let result = Matcher::new(MatchOp::Regex, "l", pattern);
        assert!(result.is_ok(), "{pattern}: {result:?}");
    }
}

/// Go's `regexp/syntax` refuses these; some of them are legal in Rust's dialect.
#[test]
fn invalid_as_in_re2() {
    for pattern in [
        "a**",
        "a*+",
        "a+*",
        "a?*",
        "a{2}{3}",
        "a{2}*",
        "a*{2}",
        "a???",
        "*",
        "+a",
        "?",
        "a|*",
        "(*)",
        "(?i)*",
        "(",
        ")",
        "a)(b",
        "(?i",
        "(?x)a",
        "(?z)",
        "(?i-)",
        "(?--i)",
        "(?=a)",
        "(?!a)",
        "(?<=a)",
        "(?P=n)",
        "(?P<n",
        "(?P<>a)",
        "(?P<x y>a)",
        "(?'n'a)",
        "a{1001}",
        "a{2,1}",
        "a{0,1001}",
        "(a{100}){11}",
        "[",
        "[]",
        "[^]",
        "[a",
        "[b-a]",
        r"[a-\d]",
        "[[:foo:]]",
        r"[\",
        r"\",
        r"\u0041",
        r"\1",
        r"\8",
        r"\C",
        r"\Z",
        r"\G",
        r"\h",
        r"\e",
        r"\E",
        r"\é",
        r"[\Q]",
        r"[\b]",
        r"\x4",
        r"\x{}",
        r"\x{110000}",
        r"\xg0",
        r"\p",
        r"\p{",
        r"\p{}",
        r"\p{Foo}",
        r"\p{Alphabetic}",
        r"\p{sc=Greek}",
        r"\pé",
        r"\p{Grek}",
        r"\p{letter}",
        r"\p{greek}",
        "a{99999999999}",
    ] {
        let result = Matcher::new(MatchOp::Regex, "l", pattern);
        assert!(result.is_err(), "{pattern}");
    }
}

#[test]
fn hostile_patterns_are_refused_or_cheap() {
    let deep = |n: usize| format!("{}a{}", "(?:".repeat(n), "b*)*".repeat(n));
    let huge = [
        "a".repeat((1 << 20) + 1),
        r"\pL".repeat(50_000),
        "((((.{10}){10}){10}){10})".into(),
        r"(\pL{1000})".into(),
        deep(900),
        "(".repeat(200_000),
        format!("a{}", "*(?i)".repeat(40_000)),
    ];
    for pattern in huge {
        let shown: String = pattern.chars().take(20).collect();
        assert!(Matcher::new(MatchOp::Regex, "l", &pattern).is_err(), "{shown}");
    }
    assert!(regex(&deep(100)).matches("abbb"));
    let gaps = "x.*".repeat(2000);
    assert!(
        regex(&format!("{}{gaps}{}", "(a".repeat(90), "b)".repeat(90))).pattern() != Pattern::Any
    );
    assert!(regex(&"(a.*|b.*)".repeat(20)).matches(&"ab".repeat(10)));
    assert!(!regex("(a*)*c").matches(&"a".repeat(50_000)));
    assert!(!regex(&"(|a|b)".repeat(1000)).matches("c"));
}

#[test]
fn thousands_of_names_are_a_list_whether_their_dots_are_escaped_or_not() {
    let names: Vec<String> = (0..5000).map(|i| format!("web-{i:05}.example.com:9100")).collect();
    let plain = regex(&names.join("|"));
    let escaped = regex(&names.join("|").replace('.', r"\."));
    assert!(matches!(escaped.pattern(), Pattern::Set(set) if set.len() == 5000));
    for matcher in [&plain, &escaped] {
        assert!(matcher.matches(&names[4711]));
        assert!(!matcher.matches("web-05000.example.com:9100"));
    }
    assert!(plain.matches("web-00000xexample.com:9100"));
    assert!(!escaped.matches("web-00000xexample.com:9100"));
}

#[test]
fn the_programs_of_one_request_are_bounded_together() {
    let large = regex(r"\pL{100}");
    let mut programs = Programs::new(64 << 20);
    let admitted = (0..1000).take_while(|_| programs.admit(&large).is_ok()).count();
    assert!((2..200).contains(&admitted), "{admitted}");
    assert!(programs.admit(&regex("a|b")).is_ok(), "small ones still fit");
    let error = programs.admit(&large).unwrap_err();
    let limit = "than query.max_regex_memory (67108864 bytes)";
    assert!(error.to_string().contains(limit), "{error}");
    let refused = programs.matcher(MatchOp::Regex, "a", r"\pL{1000}").unwrap_err();
    assert!(refused.is_beyond && refused.to_string().contains(limit), "{refused}");
    let wrong = programs.matcher(MatchOp::Regex, "a", "(").unwrap_err();
    assert!(!wrong.is_beyond, "{wrong}");
}

#[test]
fn light_programs_are_short_and_plain() {
    let programs = || Programs::light(64 << 20);
    let refused = |pattern: &str| {
        programs().matcher(MatchOp::Regex, "a", pattern).is_err_and(|error| error.is_beyond)
    };
    for pattern in ["node-00[0-4].*", r"10\.0\.(1|2)\..+", "lo|veth.*", ".+", "5..", "[a-z]+x?"] {
        assert!(!refused(pattern), "{pattern}");
    }
    for pattern in [r"\pL", r"\w+", "(?i)a", "[^a]", "[[:alpha:]]", "a{9}", "é", &"a".repeat(129)]
    {
        assert!(refused(pattern), "{pattern}");
    }
    let mut all = programs();
    let admitted = (0..1000).take_while(|_| all.matcher(MatchOp::NotRegex, "a", "ab.*").is_ok());
    assert_eq!(admitted.count(), 128 / 4);
}

/// Patterns that mean the same in both dialects.
fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        6 => "[abc]{1,3}",
        1 => Just(".*".to_owned()),
        1 => Just(".+".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just("[ab]".to_owned()),
        1 => Just("[^a]".to_owned()),
        1 => Just(r"\n".to_owned()),
        1 => Just("^".to_owned()),
        1 => Just("$".to_owned()),
        1 => Just("é".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            4 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            1 => inner.clone().prop_map(|part| format!("(?:{part})?")),
            1 => inner.clone().prop_map(|part| format!("(?:{part})*")),
            1 => inner.clone().prop_map(|part| format!("(?i:{part})")),
            1 => (inner, 0u32..3, 0u32..2).prop_map(|(part, n, m)| format!("(?:{part}){{{n},{}}}", n + m)),
        ]
    })
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[abc]{0,6}", 1 => "[abcABC\né]{0,4}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn short_cuts_equal_the_automaton(pattern in pattern(), values in prop::collection::vec(value(), 8)) {
        let reference = Regex::new(&format!("^(?s:{pattern})$")).unwrap();
        let matcher = Matcher::new(MatchOp::Regex, "l", &pattern).unwrap();
        for value in &values {
            let expected = reference.is_match(value);
            prop_assert_eq!(matcher.matches(value), expected, "{} on {:?}", pattern, value);
            let told = match matcher.pattern() {
                Pattern::Any => true,
                Pattern::NonEmpty => !value.is_empty(),
                Pattern::One(one) => one == value,
                Pattern::Set(set) => set.iter().any(|text| **text == **value),
                Pattern::Prefix(prefix) => {
                    prop_assert!(!expected || value.starts_with(prefix));
                    expected
                }
                Pattern::Beginning(beginning) => value.starts_with(beginning),
            };
            prop_assert_eq!(told, expected, "{:?} on {:?}", matcher.pattern(), value);
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(pattern in r"[\PC\n]{0,40}|[a(){}\[\]\\*+?|^$:=<>PQEpxid0-9,.-]{0,30}") {
        let _ = Matcher::new(MatchOp::Regex, "l", &pattern).map(|matcher| matcher.matches("a"));
    }
}

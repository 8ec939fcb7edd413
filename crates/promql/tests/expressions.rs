//! Every expression of the shared test scripts and of the shared query list parses.

#![allow(clippy::unwrap_used)] // a panic is the failure report

use std::path::{Path, PathBuf};

use metricstor_promql::ast::ExprKind;
use metricstor_promql::parse;

/// Scripts and queries beside the repository, where they are present.
fn shared() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/promqltest")
}

/// The expression of an `eval` line of a script.
fn expression(line: &str) -> Option<&str> {
    let rest = line.trim().strip_prefix("eval")?.split_once(char::is_whitespace)?.1.trim_start();
    let skip = |words: usize, text: &'_ str| -> Option<usize> {
        let mut at = 0;
        for _ in 0..words {
            at += text[at..].find(char::is_whitespace)?;
            at += text[at..].find(|c: char| !c.is_whitespace())?;
        }
        Some(at)
    };
    let words = match rest.split_whitespace().next()? {
        "range" => 7,
        "instant" if rest.split_whitespace().nth(1) == Some("at") => 3,
        "instant" => 1,
        _ => return None,
    };
    Some(&rest[skip(words, rest)?..])
}

#[test]
fn expressions_of_the_shared_scripts_parse_and_print_to_what_parses() {
    let Ok(directory) = std::fs::read_dir(shared().join("given")) else { return };
    let mut parsed = 0;
    for file in directory {
        let path = file.expect("a directory entry").path();
        let script = std::fs::read_to_string(&path).expect("a readable script");
        for (number, line) in script.lines().enumerate() {
            let Some(text) = expression(line) else { continue };
            let place = format!("{}:{}", path.display(), number + 1);
            let expr = parse(text).unwrap_or_else(|error| panic!("{place}: {error}: {text}"));
            let printed = expr.to_string();
            let again =
                parse(&printed).unwrap_or_else(|error| panic!("{place}: {error}: {printed}"));
            assert_eq!(again.to_string(), printed, "{place}");
            parsed += 1;
        }
    }
    assert!(parsed > 1500, "only {parsed} expressions found");
}

/// The one query of the list that is none.
const BROKEN: &str = "foo{";

#[test]
fn queries_of_the_shared_list_parse() {
    let Ok(list) = std::fs::read_to_string(shared().join("queries.json")) else { return };
    let mut parsed = 0;
    for line in list.lines() {
        let Some(query) = line.trim().strip_prefix("\"query\": ") else { continue };
        // Those JSON strings are PromQL strings as well.
        let ExprKind::String(text) = parse(query.trim_end_matches(',')).expect("a string").kind
        else {
            panic!("not a string: {query}");
        };
        match parse(&text) {
            Ok(_) => parsed += 1,
            Err(error) => assert_eq!(text, BROKEN, "{error}"),
        }
    }
    assert!(parsed > 200, "only {parsed} queries found");
}

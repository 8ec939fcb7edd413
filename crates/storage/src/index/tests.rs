//! The index against a naive filter over the same series.

use metricstor_model::{MatchOp, Matcher};
use proptest::prelude::*;

use super::*;

fn labels() -> impl Strategy<Value = Labels> {
    let pair = ("[a-c]", "[x-z]{1,2}");
    prop::collection::btree_map(pair.0, pair.1, 0..4).prop_map(|mut pairs| {
        pairs.insert(METRIC_NAME.into(), "m".into());
        Labels::from_pairs(pairs).unwrap()
    })
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let op = prop_oneof![
        Just(MatchOp::Equal),
        Just(MatchOp::NotEqual),
        Just(MatchOp::Regex),
        Just(MatchOp::NotRegex)
    ];
    let value =
        prop_oneof![Just(""), Just("x"), Just("xy"), Just("x.*"), Just(".+"), Just("x|yz|")];
    (op, "[a-d]", value).prop_map(|(op, name, value)| Matcher::new(op, &name, value).unwrap())
}

proptest! {
    #[test]
    fn selection_equals_a_filter(
        all in prop::collection::vec(labels(), 0..60),
        matchers in prop::collection::vec(matcher(), 0..4),
    ) {
        let mut index = Index::new();
        let mut expected = Vec::new();
        for labels in &all {
            let id = SeriesId::of("", labels);
            if index.get(id).is_none() {
                let series = index.create(id, labels.iter());
                prop_assert_eq!(index.get(id), Some(series));
                prop_assert_eq!(&index.labels(series), labels);
                let fits = |m: &Matcher| m.matches(labels.get(&m.name).unwrap_or(""));
                if matchers.iter().all(fits) {
                    expected.push(series);
                }
            }
        }
        prop_assert_eq!(index.select(&matchers), expected);
    }
}

#[test]
fn names_and_values_of_all_and_of_some() {
    let mut index = Index::new();
    for (a, b) in [("1", "x"), ("2", "x"), ("2", "y")] {
        let labels = Labels::from_pairs([(METRIC_NAME, "m"), ("a", a), ("b", b)]).unwrap();
        index.create(SeriesId::of("", &labels), labels.iter());
    }
    let mut values = index.label_values("a", None);
    values.sort();
    assert_eq!(values, ["1", "2"]);
    assert_eq!(index.label_values("a", Some(&[1, 2])), ["2"]);
    assert_eq!(index.label_values("missing", None), Vec::<String>::new());
    let mut names = index.label_names(Some(&[0]));
    names.sort();
    assert_eq!(names, [METRIC_NAME, "a", "b"]);
}

#[test]
fn references_may_arrive_in_any_order() {
    let mut index = Index::new();
    for series in [5, 2, 9] {
        let name = series.to_string();
        let labels = Labels::from_pairs([(METRIC_NAME, name.as_str())]).unwrap();
        index.insert(series, SeriesId::of("", &labels), labels.iter());
        index.insert(series, SeriesId::of("", &labels), labels.iter());
    }
    assert_eq!(index.select(&[]), [2, 5, 9]);
    assert_eq!(index.next(), 10);
    assert!(index.labels(3).is_empty());
}

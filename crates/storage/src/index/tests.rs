//! The index against a naive filter over the same series.

use std::collections::BTreeMap;

use metricstor_model::{METRIC_NAME, MatchOp, Matcher};
use proptest::prelude::*;

use super::*;

fn labels() -> impl Strategy<Value = Labels> {
    let value = prop_oneof![8 => "[x-z]{1,2}", 1 => "[0-9]{3}"];
    prop::collection::btree_map("[a-c]", value, 0..4).prop_map(|mut pairs| {
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
    let values =
        ["", "x", "xy", "x.*", ".+", ".*", "x|yz|", "x|y|z|1..", "[xyz]{1,2}", "(?i)X|.y", "a^"];
    (op, "[a-d]", prop::sample::select(values.to_vec()))
        .prop_map(|(op, name, value)| Matcher::new(op, &name, value).unwrap())
}

fn fits(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
}

/// Everything the index answers, against the same from a plain map.
fn check(index: &Index, expected: &BTreeMap<u32, Labels>, sets: &[Vec<Matcher>]) {
    assert_eq!(index.len(), expected.len());
    for (series, labels) in expected {
        assert_eq!(index.get(SeriesId::of("", labels)), Some(*series));
        assert_eq!(&index.labels(*series), labels);
    }
    check_labels(index, expected);
    for matchers in sets {
        let chosen = || expected.iter().filter(|(_, labels)| fits(labels, matchers));
        let series: RoaringBitmap = chosen().map(|(series, _)| *series).collect();
        assert_eq!(index.select(matchers), series, "{matchers:?}");
        assert!(index.at_most(matchers) >= series.len(), "{matchers:?}");
        for of in [None, Some(&series)] {
            let among =
                || expected.iter().filter(|(one, _)| of.is_none_or(|of| of.contains(**one)));
            let unique = |mut texts: Vec<String>| {
                texts.sort();
                texts.dedup();
                texts
            };
            let names = among().flat_map(|(_, labels)| labels.iter().map(|(n, _)| n.to_owned()));
            let mut found = index.label_names(of);
            found.sort();
            assert_eq!(found, unique(names.collect()));
            for name in [METRIC_NAME, "a", "d"] {
                let values = among().filter_map(|(_, labels)| labels.get(name).map(str::to_owned));
                let mut found = Vec::new();
                index.collect_label_values(name, of, &mut found);
                assert_eq!(found, unique(values.collect()));
            }
        }
    }
}

/// The labels of many series at once, of some that were forgotten among them.
fn check_labels(index: &Index, expected: &BTreeMap<u32, Labels>) {
    let all: Vec<u32> = (0..index.next()).collect();
    let labels: Vec<Labels> = all
        .iter()
        .map(|series| expected.get(series).cloned().unwrap_or_else(Labels::empty))
        .collect();
    let mut found = Vec::new();
    index.labels_of(&all, &mut found);
    assert_eq!(found, labels);
    let names = ["a", "c", "d"].map(str::to_owned);
    for name in &names {
        for (series, labels) in all.iter().zip(&labels) {
            assert_eq!(index.have_label(name, &[*series]), labels.get(name).is_some());
        }
    }
    for named in [None, Some(&names[..])] {
        let is_named = |name: &str| named.is_none_or(|named| named.iter().any(|n| n == name));
        let mut found = Vec::new();
        index.visit_labels(&all, named, &mut |place, name, value| {
            found.push((place, name.to_owned(), value.to_owned()));
        });
        let wanted = labels.iter().enumerate().flat_map(|(place, labels)| {
            let wanted = labels.iter().filter(|(name, _)| is_named(name));
            wanted.map(move |(name, value)| (place, name.to_owned(), value.to_owned()))
        });
        assert_eq!(found, wanted.collect::<Vec<_>>());
    }
}

/// Each time all texts are copied, and new series wait.
#[test]
fn texts_are_rewritten_once_for_many_removals() {
    let mut index = Index::default();
    for i in 0..10_000 {
        let value = format!("{i}");
        let pairs = || std::iter::once(("pod", value.as_str()));
        index.create(SeriesId::of_pairs("", pairs()), pairs());
    }
    let mut rewritten = 0;
    let text = |index: &Index| index.pairs(9_999).map(|(_, value)| value.as_ptr()).next().unwrap();
    for first in (0..9_900).step_by(50) {
        let before = text(&index);
        index.remove(&(first..first + 50).collect());
        rewritten += i32::from(text(&index) != before);
    }
    assert!((1..10).contains(&rewritten), "{rewritten} times");
    assert_eq!(index.pairs(9_999).next(), Some(("pod", "9999")));
}

#[test]
fn what_is_forgotten_has_no_labels_among_others() {
    let mut index = Index::default();
    for name in ["a", "b", "c"] {
        let pairs = || std::iter::once((METRIC_NAME, name));
        index.create(SeriesId::of_pairs("", pairs()), pairs());
    }
    index.remove(&RoaringBitmap::from_iter([1]));
    let mut labels = Vec::new();
    index.labels_of(&[0, 1, 2], &mut labels);
    assert_eq!(labels.iter().map(Labels::metric_name).collect::<Vec<_>>(), ["a", "", "c"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Series come, are removed, and come again under new references.
    #[test]
    fn it_answers_as_a_filter_does(
        rounds in prop::collection::vec((prop::collection::vec(labels(), 0..80), 1u32..5), 1..4),
        sets in prop::collection::vec(prop::collection::vec(matcher(), 0..4), 1..4),
    ) {
        let mut index = Index::default();
        let mut expected = BTreeMap::new();
        for (all, every) in rounds {
            for labels in all {
                let id = SeriesId::of("", &labels);
                if index.get(id).is_none() {
                    let series = index.create(id, labels.iter());
                    prop_assert!(expected.insert(series, labels).is_none());
                }
            }
            check(&index, &expected, &sets);
            let removed: RoaringBitmap = expected.keys().copied().filter(|s| s % every == 0).collect();
            let next = index.next();
            index.remove(&removed);
            expected.retain(|series, _| !removed.contains(*series));
            prop_assert_eq!(index.next(), next);
            check(&index, &expected, &sets);
        }
    }
}

#[test]
fn many_series_of_few_and_of_many_values() {
    let mut index = Index::default();
    let mut expected = BTreeMap::new();
    for i in 0..3000u32 {
        let (wide, narrow) = (format!("w{i:04}"), format!("n{}", i % 7));
        let mut pairs = vec![("wide", wide.as_str()), ("narrow", &narrow), (METRIC_NAME, "m")];
        pairs.truncate(if i % 100 == 0 { 1 } else { 3 });
        pairs.push((METRIC_NAME, "m"));
        pairs.dedup();
        let labels = Labels::from_pairs(pairs).unwrap();
        let series = index.create(SeriesId::of("", &labels), labels.iter());
        expected.insert(series, labels);
    }
    index.shrink();
    let matcher = |op, name, value| Matcher::new(op, name, value).unwrap();
    let list = (0..500).map(|i| format!("w{:04}", i * 3)).collect::<Vec<_>>().join("|");
    let mut sets = vec![vec![]];
    for op in [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex] {
        for (name, value) in [
            ("wide", "w0001"),
            ("wide", "w00.*"),
            ("wide", ".*7"),
            ("wide", &list),
            ("wide", ""),
            ("narrow", "n3"),
            ("narrow", "n[1-4]"),
            ("narrow", ".*[1-6]"),
            ("narrow", "|n1"),
            ("none", "x"),
        ] {
            sets.push(vec![matcher(op, name, value)]);
            sets.push(vec![matcher(op, name, value), Matcher::equal("narrow", "n2")]);
            sets.push(vec![matcher(op, name, value), matcher(MatchOp::Regex, "wide", "w12.*[05]")]);
        }
    }
    check(&index, &expected, &sets);
}

#[test]
fn names_and_values_of_all_and_of_some() {
    let mut index = Index::default();
    for (a, b) in [("1", "x"), ("2", "x"), ("2", "y")] {
        let labels = Labels::from_pairs([(METRIC_NAME, "m"), ("a", a), ("b", b)]).unwrap();
        index.create(SeriesId::of("", &labels), labels.iter());
    }
    let values = |name, of: Option<&[u32]>| {
        let of = of.map(|of| of.iter().copied().collect::<RoaringBitmap>());
        let mut all = Vec::new();
        index.collect_label_values(name, of.as_ref(), &mut all);
        all
    };
    assert_eq!(values("a", None), ["1", "2"]);
    assert_eq!(values("a", Some(&[1, 2])), ["2"]);
    assert_eq!(values("missing", None), Vec::<String>::new());
    let mut names = index.label_names(Some(&RoaringBitmap::from([0])));
    names.sort();
    assert_eq!(names, [METRIC_NAME, "a", "b"]);
}

#[test]
fn references_may_arrive_in_any_order() {
    let mut index = Index::default();
    for series in [5, 2, 9] {
        let name = series.to_string();
        let labels = Labels::from_pairs([(METRIC_NAME, name.as_str())]).unwrap();
        index.insert(series, SeriesId::of("", &labels), labels.iter());
        index.insert(series, SeriesId::of("", &labels), labels.iter());
    }
    assert_eq!(index.select(&[]), RoaringBitmap::from([2, 5, 9]));
    assert_eq!(index.next(), 10);
    assert!(index.labels(3).is_empty());
}

/// More values than are left out of order, in two indexes that share some, before and after a removal.
#[test]
fn many_values_are_found_by_prefix_and_in_order() {
    let labels = |i: u64| {
        let scattered = i * 7919 % 1000;
        Labels::from_pairs([("instance", format!("node-{scattered:03}"))]).unwrap()
    };
    let mut index = Index::default();
    let mut expected = BTreeMap::new();
    let sets: Vec<Vec<Matcher>> = [
        (MatchOp::Regex, "node-0[0-4].*"),
        (MatchOp::Regex, "node-12.+|node-.*9"),
        (MatchOp::NotRegex, "node-[0-8].*"),
        (MatchOp::Regex, "nobody.*"),
        (MatchOp::Regex, "node-.*"),
    ]
    .map(|(op, value)| vec![Matcher::new(op, "instance", value).unwrap()])
    .into();
    for i in 0..900 {
        let labels = labels(i);
        let series = index.create(SeriesId::of("", &labels), labels.iter());
        expected.insert(series, labels);
        if i % 150 == 149 {
            check(&index, &expected, &sets);
        }
    }
    let removed: RoaringBitmap = expected.keys().copied().filter(|s| s % 7 == 0).collect();
    index.remove(&removed);
    expected.retain(|series, _| !removed.contains(*series));
    check(&index, &expected, &sets);

    let mut other = Index::default();
    for i in 800..1000 {
        let labels = labels(i);
        other.create(SeriesId::of("", &labels), labels.iter());
    }
    let mut values = Vec::new();
    index.collect_label_values("instance", None, &mut values);
    other.collect_label_values("instance", None, &mut values);
    let mut all: Vec<String> = expected
        .values()
        .cloned()
        .chain((800..1000).map(labels))
        .map(|labels| labels.get("instance").unwrap().to_owned())
        .collect();
    all.sort();
    all.dedup();
    assert_eq!(values, all);
}

#[test]
fn the_order_of_values_that_all_stay_is_kept() {
    let mut index = Index::default();
    for i in 0..400 {
        let instance = format!("node-{}", i % 200);
        let labels = [("instance", instance), ("part", i.to_string())];
        let labels = Labels::from_pairs(labels).unwrap();
        index.create(SeriesId::of("", &labels), labels.iter());
    }
    let name = index.pairs.find_name("instance").unwrap();
    let before = index.pairs.by_value(name).0;
    assert_eq!(before.len(), 200);
    index.remove(&(0..200).collect());
    assert!(std::sync::Arc::ptr_eq(&before, &index.pairs.by_value(name).0));
    index.remove(&[200].into());
    assert_eq!(index.pairs.name(name).pairs.len(), 199);
}

//! The decoder against messages made by prost.

use proptest::prelude::*;
use prost::Message;

use super::*;

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<ProtoExemplar>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<ProtoMetadata>,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
    #[prost(int64, tag = "3")]
    start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoExemplar {
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoMetadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help: u32,
    #[prost(uint32, tag = "4")]
    unit: u32,
}

const LIMITS: Limits = Limits { samples_max: 100, histogram_buckets_max: 100, memory_max: 1 << 20 };

fn decode<'a>(
    body: &'a [u8],
    limits: Limits,
    texts: &'a mut Vec<u8>,
    texts_max: usize,
) -> Result<WriteRequest<'a>, DecodeError> {
    super::decode(body, limits, texts, texts_max, &mut |_| true)
}

fn request(symbols: &[&str], timeseries: Vec<Series>) -> Vec<u8> {
    let symbols = symbols.iter().map(|&text| text.to_owned()).collect();
    Request { symbols, timeseries }.encode_to_vec()
}

fn series(labels: &[u32]) -> Series {
    let samples = vec![Sample { value: 1.5, timestamp: 7, start_timestamp: 3 }];
    Series { labels: labels.to_vec(), samples, ..Default::default() }
}

fn pairs(labels: EncodedLabels<'_>) -> Result<Vec<(&str, &str)>, LabelsFault> {
    let mut pairs = Vec::new();
    (labels.decode)(labels.bytes, &mut pairs)?;
    Ok(pairs)
}

#[test]
fn labels_are_the_same_bytes_in_both_versions() {
    let long = "x".repeat(200);
    let symbols = ["", "__name__", "up", "job", &long];
    let body = request(&symbols, vec![series(&[1, 2, 3, 4]), series(&[1, 0, 3, 2])]);
    let (mut texts, v1_body) = (Vec::new(), v1_series(&[("__name__", "up"), ("job", &long)]));
    let ours = decode(&body, LIMITS, &mut texts, 1000).unwrap();
    let theirs = v1::decode(&v1_body, LIMITS, &mut |_| true).unwrap();
    assert_eq!(ours.series[0].labels.bytes, theirs.series[0].labels.bytes);
    assert_eq!(pairs(ours.series[1].labels).unwrap(), [("__name__", ""), ("job", "up")]);
    assert_eq!((&ours.values[..], &ours.timestamps[..]), (&[1.5, 1.5][..], &[7, 7][..]));
}

fn v1_series(labels: &[(&str, &str)]) -> Vec<u8> {
    #[derive(Clone, PartialEq, Message)]
    struct Request {
        #[prost(message, repeated, tag = "1")]
        series: Vec<Series>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Series {
        #[prost(message, repeated, tag = "1")]
        labels: Vec<Label>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Label {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(string, tag = "2")]
        value: String,
    }
    let label = |(n, v): &(&str, &str)| Label { name: (*n).into(), value: (*v).into() };
    Request { series: vec![Series { labels: labels.iter().map(label).collect() }] }.encode_to_vec()
}

#[test]
fn references_to_nowhere_concern_one_series() {
    let symbols = ["", "__name__", "up"];
    let body = request(&symbols, vec![series(&[1, 3]), series(&[1]), series(&[1, 2])]);
    let mut texts = Vec::new();
    let request = decode(&body, LIMITS, &mut texts, 1000).unwrap();
    let read: Vec<_> = request.series.iter().map(|series| pairs(series.labels)).collect();
    let wrong = Err(LabelsFault::Malformed);
    assert_eq!(read, [wrong.clone(), wrong, Ok(vec![("__name__", "up")])]);
    assert!(request.series.iter().all(|series| series.samples.len() == 1));
}

#[test]
fn exemplars_have_labels_of_their_own() {
    let exemplar =
        |labels: &[u32]| ProtoExemplar { labels: labels.to_vec(), value: 2.0, timestamp: 9 };
    let exemplars = vec![exemplar(&[3, 4]), exemplar(&[])];
    let with = Series { exemplars, ..series(&[1, 2]) };
    let body = request(&["", "__name__", "up", "trace_id", "f00"], vec![with, series(&[1, 4])]);
    let mut texts = Vec::new();
    let request = decode(&body, LIMITS, &mut texts, 1000).unwrap();
    let labels: Vec<_> = request.exemplars.iter().map(|e| pairs(e.labels).unwrap()).collect();
    assert_eq!(labels, [vec![("trace_id", "f00")], vec![]]);
    assert_eq!(request.series[0].exemplars, 0..2);
    assert_eq!(pairs(request.series[1].labels).unwrap(), [("__name__", "f00")]);
}

#[test]
fn metadata_is_noted_once_for_neighbours_by_family() {
    let said = |labels: &[u32], kind, help, unit| Series {
        metadata: Some(ProtoMetadata { kind, help, unit }),
        ..series(labels)
    };
    let symbols =
        ["", "__name__", "took_bucket", "took_sum", "up", "How long.", "seconds", "le", "1"];
    let body = request(
        &symbols,
        vec![
            said(&[1, 2, 7, 8], 3, 5, 6),
            said(&[1, 2], 3, 5, 6),
            said(&[1, 3], 3, 5, 6),
            said(&[1, 4], 0, 0, 0),
            said(&[1, 4], 2, 0, 0),
        ],
    );
    let mut texts = Vec::new();
    let request = decode(&body, LIMITS, &mut texts, 1000).unwrap();
    let metadata = |metric, kind, help, unit| Metadata { metric, kind, help, unit };
    let expected =
        [metadata("took", "histogram", "How long.", "seconds"), metadata("up", "gauge", "", "")];
    assert_eq!(request.metadata, expected);
}

#[test]
fn a_small_body_cannot_become_large_labels() {
    let long = "x".repeat(10_000);
    let many = vec![series(&[1, 2]); 50];
    let body = request(&["", "__name__", &long], many);
    let mut texts = Vec::new();
    let error = decode(&body, LIMITS, &mut texts, 100_000).unwrap_err();
    assert!(matches!(error, DecodeError::TooLarge { limit: 100_000, .. }), "{error}");
    assert!(texts.len() < 120_000);
    let error = decode(&request(&[""], vec![series(&[]); 101]), LIMITS, &mut texts, 9).unwrap_err();
    assert!(matches!(error, DecodeError::TooLarge { size: 101, limit: 100, .. }), "{error}");
}

#[test]
fn nor_large_tables() {
    let mut texts = Vec::new();
    for field in [[4 << 3 | 2, 0], [5 << 3 | 2, 0]] {
        let error = decode(&field.repeat(200_000), LIMITS, &mut texts, 1000).unwrap_err();
        assert!(matches!(error, DecodeError::TooLarge { limit: 1_048_576, .. }), "{error}");
    }
}

proptest! {
    #[test]
    fn arbitrary_references_never_panic(
        symbols in prop::collection::vec("\\PC{0,5}", 0..5),
        labels in prop::collection::vec(prop::collection::vec(0u32..7, 0..5), 0..5),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let timeseries = labels.iter().map(|labels| series(labels)).collect();
        let mut body = Request { symbols, timeseries }.encode_to_vec();
        for damaged in [false, true] {
            if damaged && !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
            if let Ok(request) = decode(&body, LIMITS, &mut Vec::new(), 1000) {
                for series in &request.series {
                    let _ = series.labels.canonical(&mut vec![]);
                }
            }
        }
    }
}

//! The hand-written decoder against prost's, on messages made by prost.

use metricstor_model::{FloatHistogram, LabelsFault};
use proptest::prelude::*;
use prost::Message;

use super::*;

#[derive(Clone, PartialEq, Message)]
struct ProtoRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<ProtoSeries>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<ProtoMetadata>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<ProtoLabel>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<ProtoSample>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<ProtoHistogram>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoLabel {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoSample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoHistogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<ProtoSpan>,
    #[prost(sint64, repeated, tag = "12")]
    positive_deltas: Vec<i64>,
    #[prost(int64, tag = "15")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoSpan {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoMetadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    metric_family_name: String,
    #[prost(string, tag = "4")]
    help: String,
}

const LIMITS: Limits =
    Limits { samples_max: 1000, histogram_buckets_max: 100, memory_max: 1 << 20 };

fn decode(body: &[u8], limits: Limits) -> Result<WriteRequest<'_>, DecodeError> {
    super::decode(body, limits, &mut |_| true)
}

fn series() -> impl Strategy<Value = ProtoSeries> {
    let label = ("[a-z_]{0,6}", "\\PC{0,200}").prop_map(|(name, value)| ProtoLabel { name, value });
    let sample = (any::<u64>(), any::<i64>())
        .prop_map(|(bits, timestamp)| ProtoSample { value: f64::from_bits(bits), timestamp });
    (prop::collection::vec(label, 0..5), prop::collection::vec(sample, 0..5))
        .prop_map(|(labels, samples)| ProtoSeries { labels, samples, histograms: vec![] })
}

proptest! {
    #[test]
    fn decodes_what_prost_encodes(timeseries in prop::collection::vec(series(), 0..6)) {
        let proto = ProtoRequest { timeseries, metadata: vec![] };
        let body = proto.encode_to_vec();
        let request = decode(&body, LIMITS).unwrap();
        prop_assert_eq!(request.series.len(), proto.timeseries.len());
        for (ours, theirs) in request.series.iter().zip(&proto.timeseries) {
            let mut pairs = vec![];
            (ours.labels.decode)(ours.labels.bytes, &mut pairs).unwrap();
            let expected: Vec<_> =
                theirs.labels.iter().map(|l| (l.name.as_str(), l.value.as_str())).collect();
            prop_assert_eq!(pairs, expected);
            let bits = |v: &f64| v.to_bits();
            let values: Vec<_> = request.values[ours.samples.clone()].iter().map(bits).collect();
            let expected: Vec<_> = theirs.samples.iter().map(|s| s.value.to_bits()).collect();
            prop_assert_eq!(values, expected);
            let times: Vec<_> = theirs.samples.iter().map(|s| s.timestamp).collect();
            prop_assert_eq!(&request.timestamps[ours.samples.clone()], &times);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(request) = decode(&body, LIMITS) {
            for series in &request.series {
                let _ = series.labels.canonical(&mut vec![]);
            }
        }
    }

    #[test]
    fn damaged_messages_never_panic(
        timeseries in prop::collection::vec(series(), 1..4),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut body = ProtoRequest { timeseries, metadata: vec![] }.encode_to_vec();
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = byte;
            if let Ok(request) = decode(&body, LIMITS) {
                for series in &request.series {
                    let _ = series.labels.canonical(&mut vec![]);
                }
            }
        }
    }
}

fn labelled(pairs: &[(&str, &str)]) -> Vec<u8> {
    let label = |(n, v): &(&str, &str)| ProtoLabel { name: (*n).into(), value: (*v).into() };
    let labels = pairs.iter().map(label).collect();
    let series = ProtoSeries { labels, samples: vec![], histograms: vec![] };
    ProtoRequest { timeseries: vec![series], metadata: vec![] }.encode_to_vec()
}

fn canonical(pairs: &[(&str, &str)]) -> Result<Vec<(String, String)>, LabelsFault> {
    let body = labelled(pairs);
    let request = decode(&body, LIMITS).unwrap();
    let mut out = vec![];
    request.series[0].labels.canonical(&mut out)?;
    Ok(out.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
}

#[test]
fn labels_are_made_canonical_or_refused() {
    let owned = |p: &[(&str, &str)]| {
        p.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>()
    };
    assert_eq!(
        canonical(&[("b", "2"), ("__name__", "up"), ("gone", "")]),
        Ok(owned(&[("__name__", "up"), ("b", "2")]))
    );
    assert_eq!(canonical(&[("b", "2")]), Err(LabelsFault::NoMetricName));
    assert_eq!(canonical(&[("__name__", "")]), Err(LabelsFault::NoMetricName));
    assert_eq!(canonical(&[("", "x"), ("__name__", "up")]), Err(LabelsFault::EmptyName));
    assert_eq!(
        canonical(&[("__name__", "up"), ("a", "1"), ("a", "1")]),
        Err(LabelsFault::DuplicateName("a".into()))
    );
}

#[test]
fn integer_histograms_become_absolute_counts() {
    let histogram = ProtoHistogram {
        count: 7,
        sum: 1.5,
        schema: -1,
        positive_spans: vec![ProtoSpan { offset: -2, length: 3 }],
        positive_deltas: vec![1, 2, -1],
        timestamp: 42,
    };
    let series = ProtoSeries { labels: vec![], samples: vec![], histograms: vec![histogram] };
    let body = ProtoRequest { timeseries: vec![series], metadata: vec![] }.encode_to_vec();
    let request = decode(&body, LIMITS).unwrap();
    assert_eq!(request.histograms[0].timestamp, 42);
    let expected = FloatHistogram {
        count: 7.0,
        sum: 1.5,
        schema: -1,
        positive_spans: vec![metricstor_model::Span { offset: -2, length: 3 }],
        positive_buckets: vec![1.0, 3.0, 2.0],
        ..Default::default()
    };
    assert_eq!(request.histograms[0].histogram, expected);
}

#[test]
fn limits_are_enforced_while_decoding() {
    let sample = ProtoSample { value: 1.0, timestamp: 1 };
    let series = ProtoSeries { labels: vec![], samples: vec![sample; 1001], histograms: vec![] };
    let body = ProtoRequest { timeseries: vec![series], metadata: vec![] }.encode_to_vec();
    assert!(matches!(decode(&body, LIMITS), Err(DecodeError::TooLarge { size: 1001, .. })));
}

/// Each would be ten to two hundred times as large in memory.
#[test]
fn a_small_body_cannot_become_a_large_request() {
    let limits = Limits { samples_max: usize::MAX, ..LIMITS };
    let many = |field: &[u8]| field.repeat(200_000);
    let in_series = |fields: Vec<u8>| {
        let mut body = vec![1 << 3 | 2];
        crate::protobuf::push_varint(&mut body, fields.len() as u64);
        body.extend(fields);
        body
    };
    for body in [
        many(&[1 << 3 | 2, 0]),
        many(&[3 << 3 | 2, 0]),
        in_series(many(&[2 << 3 | 2, 0])),
        in_series(many(&[3 << 3 | 2, 0])),
        in_series(many(&[4 << 3 | 2, 0])),
        in_series(many(&[4 << 3 | 2, 6, 12 << 3 | 2, 4, 2, 0, 0, 0])),
    ] {
        let error = decode(&body, limits).unwrap_err();
        let what = "bytes of one request in memory";
        let is_told = |size| (1 << 20..2 << 20).contains(&size);
        assert!(
            matches!(error, DecodeError::TooLarge { what: said, size, .. } if said == what && is_told(size)),
            "{error}"
        );
    }
    let body = in_series([2 << 3 | 2, 0].repeat(50_000));
    let mut granted = 0;
    let asked = super::decode(&body, limits, &mut |bytes| {
        granted += bytes;
        granted <= 512 << 10
    });
    assert_eq!(asked.err(), Some(DecodeError::NoRoom));
    assert!(granted < 700 << 10, "{granted}");
    let body = in_series(many(&[1 << 3 | 2, 0]));
    let mut pairs = Vec::new();
    let fault = decode(&body, limits).unwrap().series[0].labels.canonical(&mut pairs).unwrap_err();
    assert_eq!(fault, LabelsFault::TooMany { count: 65_537, limit: 65_536 });
}

#[test]
fn metadata_is_read() {
    let metadata =
        ProtoMetadata { kind: 1, metric_family_name: "up".into(), help: "is it up".into() };
    let body = ProtoRequest { timeseries: vec![], metadata: vec![metadata] }.encode_to_vec();
    let request = decode(&body, LIMITS).unwrap();
    assert_eq!(request.metadata[0].metric, "up");
    assert_eq!(request.metadata[0].kind, "counter");
}

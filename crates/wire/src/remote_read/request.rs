//! What is asked for: `prometheus.ReadRequest`.

use metricstor_model::{MatchOp, Matcher, Programs, TimeRange};

use crate::DecodeError;
use crate::protobuf::{Fields, Value};

/// A decoded request.
#[derive(Debug, Default)]
pub struct ReadRequest {
    pub queries: Vec<Query>,
    /// The first of the types the client takes that exists; `None` when it takes no known one.
    pub response_type: Option<ResponseType>,
}

/// How samples are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseType {
    /// One message with samples one by one.
    Samples,
    /// A stream of messages with encoded chunks.
    Chunks,
}

/// Series and the time they are wanted of.
#[derive(Debug)]
pub struct Query {
    pub range: TimeRange,
    pub matchers: Vec<Matcher>,
    /// The client wants to know which series there are and needs no samples.
    pub only_labels: bool,
}

/// Bounds of one request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub queries_max: usize,
    /// Matchers of all queries together.
    pub matchers_max: usize,
    /// Bytes of memory of all regular expressions.
    pub regex_memory_max: usize,
}

/// Decodes an uncompressed body.
pub fn decode(body: &[u8], limits: Limits) -> Result<ReadRequest, DecodeError> {
    let mut request = ReadRequest::default();
    let (mut fields, mut accepts_any, mut matchers) = (Fields::new(body, 0), true, 0);
    let mut programs = Programs::new(limits.regex_memory_max);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Bytes(bytes, base)) => {
                let query = query(bytes, base, limits.matchers_max - matchers, &mut programs)?;
                matchers += query.matchers.len();
                request.queries.push(query);
                bounded("queries in one request", request.queries.len(), limits.queries_max)?;
            }
            (2, value) => {
                accepts_any = false;
                let mut types = Types::new(value, &fields)?;
                while let Some(known) = types.next()? {
                    request.response_type = request.response_type.or(known);
                }
            }
            (1, _) => return Err(fields.error("wrong wire type")),
            _ => {}
        }
    }
    if accepts_any {
        request.response_type = Some(ResponseType::Samples);
    }
    Ok(request)
}

/// The accepted types: single numbers or a packed list.
enum Types<'a> {
    One(Option<u64>),
    Packed(Fields<'a>),
}

impl<'a> Types<'a> {
    fn new(value: Value<'a>, fields: &Fields<'_>) -> Result<Self, DecodeError> {
        match value {
            Value::Varint(n) => Ok(Self::One(Some(n))),
            Value::Bytes(bytes, base) => Ok(Self::Packed(Fields::new(bytes, base))),
            _ => Err(fields.error("wrong wire type")),
        }
    }

    /// The next type; `Some(None)` for one that is not known.
    fn next(&mut self) -> Result<Option<Option<ResponseType>>, DecodeError> {
        let number = match self {
            Self::One(number) => number.take(),
            Self::Packed(fields) => fields.next_packed()?,
        };
        Ok(number.map(|number| match number {
            0 => Some(ResponseType::Samples),
            1 => Some(ResponseType::Chunks),
            _ => None,
        }))
    }
}

fn query(
    bytes: &[u8],
    base: usize,
    matchers_max: usize,
    programs: &mut Programs,
) -> Result<Query, DecodeError> {
    let mut query = Query { range: TimeRange::new(0, 0), matchers: Vec::new(), only_labels: false };
    let mut fields = Fields::new(bytes, base);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Varint(ms)) => query.range.start = ms as i64,
            (2, Value::Varint(ms)) => query.range.end = ms as i64,
            (3, Value::Bytes(bytes, base)) => {
                query.matchers.push(matcher(bytes, base, programs)?);
                bounded("matchers in one request", query.matchers.len(), matchers_max)?;
            }
            (4, Value::Bytes(bytes, base)) => query.only_labels = asks_for_labels(bytes, base)?,
            (1..=4, _) => return Err(fields.error("wrong wire type")),
            _ => {}
        }
    }
    Ok(query)
}

fn bounded(what: &'static str, size: usize, limit: usize) -> Result<(), DecodeError> {
    if size > limit { Err(DecodeError::TooLarge { what, size, limit }) } else { Ok(()) }
}

fn matcher(bytes: &[u8], base: usize, programs: &mut Programs) -> Result<Matcher, DecodeError> {
    let (mut op, mut name, mut text) = (MatchOp::Equal, "", "");
    let mut fields = Fields::new(bytes, base);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Varint(0)) => op = MatchOp::Equal,
            (1, Value::Varint(1)) => op = MatchOp::NotEqual,
            (1, Value::Varint(2)) => op = MatchOp::Regex,
            (1, Value::Varint(3)) => op = MatchOp::NotRegex,
            (1, Value::Varint(kind)) => {
                return Err(DecodeError::Invalid(format!("unknown kind of matcher: {kind}")));
            }
            (2, Value::Bytes(bytes, base)) => name = utf8(bytes, base)?,
            (3, Value::Bytes(bytes, base)) => text = utf8(bytes, base)?,
            (1..=3, _) => return Err(fields.error("wrong wire type")),
            _ => {}
        }
    }
    programs.matcher(op, name, text).map_err(|error| match error.is_beyond {
        true => DecodeError::Regexes(error.to_string()),
        false => DecodeError::Invalid(error.to_string()),
    })
}

/// Of the hints, the function for which Prometheus itself would not look at samples. The others
/// name a range that the query's own contains.
fn asks_for_labels(bytes: &[u8], base: usize) -> Result<bool, DecodeError> {
    let (mut fields, mut only_labels) = (Fields::new(bytes, base), false);
    while let Some((number, value)) = fields.next()? {
        if let (2, Value::Bytes(function, _)) = (number, value) {
            only_labels = function == b"series";
        }
    }
    Ok(only_labels)
}

fn utf8(bytes: &[u8], base: usize) -> Result<&str, DecodeError> {
    let reason = "not valid UTF-8";
    std::str::from_utf8(bytes).map_err(|_| DecodeError::Protobuf { offset: base, reason })
}

//! The table of texts, and the labels that refer to it written out as remote write 1.0 has them.

use std::ops::Range;

use super::super::Held;
use crate::DecodeError;
use crate::protobuf::{Fields, Value, push_bytes, push_varint, varint_len};

/// All texts of a request by their numbers.
pub(super) struct Symbols<'a> {
    texts: Vec<&'a [u8]>,
}

/// Where each series' and exemplar's labels stand in the texts, in the order of the message; `None`
/// where references are odd in number or lead nowhere.
pub(super) type Runs = Vec<Option<Range<usize>>>;

impl<'a> Symbols<'a> {
    pub fn of(body: &'a [u8], held: &mut Held<'_>) -> Result<Self, DecodeError> {
        let mut texts = Vec::new();
        let mut fields = Fields::new(body, 0);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (4, Value::Bytes(text, _)) => {
                    held.text()?;
                    texts.push(text);
                }
                (4, _) => return Err(fields.error("wrong wire type")),
                _ => {}
            }
        }
        Ok(Self { texts })
    }

    pub fn get(&self, number: u64) -> Option<&'a [u8]> {
        // 0 is the empty text by definition, even of an empty table.
        let text = usize::try_from(number).ok().and_then(|n| self.texts.get(n).copied());
        text.or((number == 0).then_some(b""))
    }

    /// Writes the labels of every series, and after it those of its exemplars, into `out`.
    pub fn write_runs(
        &self,
        body: &[u8],
        out: &mut Vec<u8>,
        bytes_max: usize,
        held: &mut Held<'_>,
    ) -> Result<Runs, DecodeError> {
        out.clear();
        let mut runs = Runs::new();
        let mut fields = Fields::new(body, 0);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (5, Value::Bytes(bytes, base)) => {
                    held.text()?;
                    runs.push(self.write_run(bytes, base, out, bytes_max)?);
                    let mut fields = Fields::new(bytes, base);
                    while let Some((number, value)) = fields.next()? {
                        if let (4, Value::Bytes(bytes, base)) = (number, value) {
                            held.text()?;
                            runs.push(self.write_run(bytes, base, out, bytes_max)?);
                        }
                    }
                }
                (5, _) => return Err(fields.error("wrong wire type")),
                _ => {}
            }
        }
        Ok(runs)
    }

    /// Writes the labels that field 1 of a message refers to.
    fn write_run(
        &self,
        message: &[u8],
        base: usize,
        out: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Result<Option<Range<usize>>, DecodeError> {
        let start = out.len();
        let (mut name, mut is_whole) = (None, true);
        let mut refer = |number: u64, out: &mut Vec<u8>| {
            match (name.take(), self.get(number)) {
                (_, None) => is_whole = false,
                (None, text) => name = text,
                (Some(name), Some(value)) => push_label(out, name, value),
            }
            let (size, limit) = (out.len(), bytes_max);
            let what = "bytes of all labels written out";
            if size > limit { Err(DecodeError::TooLarge { what, size, limit }) } else { Ok(()) }
        };
        let mut fields = Fields::new(message, base);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Bytes(packed, base)) => {
                    let mut packed = Fields::new(packed, base);
                    while let Some(number) = packed.next_packed()? {
                        refer(number, out)?;
                    }
                }
                (1, Value::Varint(number)) => refer(number, out)?,
                (1, _) => return Err(fields.error("wrong wire type")),
                _ => {}
            }
        }
        let is_whole = is_whole && name.is_none();
        if !is_whole {
            out.truncate(start);
        }
        Ok(is_whole.then_some(start..out.len()))
    }
}

/// Field 1 of a series of remote write 1.0; like its senders, without empty texts.
fn push_label(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let length = |text: &[u8]| match text.len() {
        0 => 0,
        n => 1 + varint_len(n as u64) + n,
    };
    out.push(1 << 3 | 2);
    push_varint(out, (length(name) + length(value)) as u64);
    for (number, text) in [(1, name), (2, value)] {
        if !text.is_empty() {
            push_bytes(out, number, text);
        }
    }
}

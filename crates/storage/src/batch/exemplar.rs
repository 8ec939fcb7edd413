//! An exemplar inside a log payload.

use metricstor_model::{Labels, StoredExemplar};

use super::Malformed;
use super::bytes::{Reader, put_text, put_varint, unzigzag, zigzag};

pub(super) fn encode(exemplar: &StoredExemplar, out: &mut Vec<u8>) {
    put_varint(out, zigzag(exemplar.timestamp));
    out.extend_from_slice(&exemplar.value.to_le_bytes());
    put_varint(out, exemplar.labels.iter().count() as u64);
    for (name, value) in exemplar.labels.iter() {
        put_text(out, name);
        put_text(out, value);
    }
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<StoredExemplar, Malformed> {
    let timestamp = unzigzag(reader.varint()?);
    let value = reader.double()?;
    let mut pairs = Vec::new();
    for _ in 0..reader.count()? {
        pairs.push((reader.text()?, reader.text()?));
    }
    let labels = Labels::from_pairs(pairs).map_err(|_| Malformed("labels of an exemplar"))?;
    Ok(StoredExemplar { timestamp, value, labels })
}

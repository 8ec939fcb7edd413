//! How the ledger's records lie in their file: one line each, readable with any pager.
//!
//! ```text
//! metricstor ledger 1
//! <index> <length> <crc of the JSON> <crc of the three fields before> <JSON>
//! ```
//!
//! Numbers are hexadecimal of fixed width; the CRCs are CRC-32C. The second one protects the length,
//! so that a record that was cut short by a crash can be told from one that was damaged later: the
//! first kind was never acknowledged and is dropped, the second kind is an error.

use super::LedgerFault;

pub(super) const HEADER: &[u8] = b"metricstor ledger 1\n";
/// 16 + 8 + 8 + 8 digits, each followed by a blank.
const PREFIX_LENGTH: usize = 44;
const CHECKED_LENGTH: usize = 34;

/// One record as it lies in the file.
pub(super) struct Record<'a> {
    pub index: u64,
    pub json: &'a [u8],
    /// Bytes taken in the file.
    pub length: usize,
}

pub(super) fn encode(index: u64, json: &[u8]) -> Vec<u8> {
    debug_assert!(!json.contains(&b'\n'), "compact JSON has no line breaks");
    let checked = format!("{index:016x} {:08x} {:08x}", json.len(), crc32c::crc32c(json));
    let crc = crc32c::crc32c(checked.as_bytes());
    [checked.as_bytes(), format!(" {crc:08x} ").as_bytes(), json, b"\n"].concat()
}

/// Reads the record at the beginning of `bytes`; `None` if a crash cut it short.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<Record<'_>>, LedgerFault> {
    // A file system may extend a file before it writes the data.
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let Some((prefix, rest)) = bytes.split_at_checked(PREFIX_LENGTH) else {
        return Ok(None);
    };
    let crc = number(&prefix[CHECKED_LENGTH + 1..], 8)?;
    if u64::from(crc32c::crc32c(&prefix[..CHECKED_LENGTH])) != crc {
        return Err(LedgerFault::Damaged);
    }
    let index = number(prefix, 16)?;
    let length = usize::try_from(number(&prefix[17..], 8)?).map_err(|_| LedgerFault::Damaged)?;
    let Some((json, end)) = rest.split_at_checked(length) else {
        return Ok(None);
    };
    let Some(line_break) = end.first() else {
        return Ok(None);
    };
    if *line_break != b'\n' || u64::from(crc32c::crc32c(json)) != number(&prefix[26..], 8)? {
        return Err(LedgerFault::Damaged);
    }
    Ok(Some(Record { index, json, length: PREFIX_LENGTH + length + 1 }))
}

/// A number of exactly so many digits, followed by a blank.
fn number(bytes: &[u8], digits: usize) -> Result<u64, LedgerFault> {
    let field = bytes.get(..=digits).ok_or(LedgerFault::Damaged)?;
    let (digits, blank) = field.split_at(digits);
    let plain = digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f'));
    if !plain || blank != b" " {
        return Err(LedgerFault::Damaged);
    }
    let text = std::str::from_utf8(digits).map_err(|_| LedgerFault::Damaged)?;
    u64::from_str_radix(text, 16).map_err(|_| LedgerFault::Damaged)
}

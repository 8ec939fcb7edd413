//! Protobuf without generated types: a cursor that borrows from a message, and fields written
//! straight into bytes.

mod read;
mod write;

pub(crate) use read::{Fields, Value, packed_doubles, packed_zigzag, zigzag};
pub(crate) use write::{
    push_bytes, push_double, push_doubles, push_integer, push_message, push_varint, to_zigzag,
    varint_len,
};

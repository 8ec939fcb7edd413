//! Prometheus remote read: stored samples, asked for by another server.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/querying/remote_read_api/>.

mod chunk;
mod request;
mod response;

pub use chunk::{Chunk, Encoding, chunks};
pub use request::{Limits, Query, ReadRequest, ResponseType, decode};
pub use response::{push_frames, push_result, push_series};

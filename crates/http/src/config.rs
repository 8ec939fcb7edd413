//! What the HTTP side lets a client do: every limit in one place, checked before anything is
//! allocated for the client.

use std::time::Duration;

/// The usable settings; the binary builds them from what people write.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    pub connections: ConnectionLimits,
    pub requests: RequestLimits,
    pub queries: QueryLimits,
    pub enrolment: EnrolmentLimits,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionLimits {
    /// Open connections, all listeners together; more wait in the kernel.
    pub total: usize,
    /// Open connections from one address; more are closed at once.
    pub per_address: usize,
    /// Open connections whose client is not known by a certificate, or not yet; the oldest is closed
    /// for the next.
    pub strangers: usize,
    /// From accepting to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// Without a byte read or written; also the time a request's header may take.
    pub idle_timeout: Duration,
    /// All header lines of a request together, its URL included.
    pub header_bytes: usize,
    pub header_count: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// Connections that may listen for notifications; more are told that there is no place.
    pub listeners: usize,
    /// The longest life of a connection: what it shows is looked at anew this often.
    pub max_age: Duration,
    /// How long a stop waits for requests in work.
    pub shutdown_deadline: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RequestLimits {
    /// A write request as sent.
    pub compressed_bytes: usize,
    /// A write request after decompression, and again what it takes in memory beside that.
    pub decoded_bytes: usize,
    /// Samples, histograms and exemplars of one write request.
    pub samples: usize,
    /// What all write requests in work take, decoded; more are answered with the overload status.
    pub writing_bytes: usize,
    /// A POSTed form.
    pub form_bytes: usize,
    /// A body may take this long, and then must keep `BODY_BYTES_PER_SECOND`.
    pub body_grace: Duration,
    /// Answer overload with 429 instead of 503, for senders that ask for it.
    pub overload_is_429: bool,
}

/// Bounds on those who ask for certificates, each by its address, or by its identity if it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrolmentLimits {
    pub requests_per_minute: u32,
    /// Of them, how many may be refused before all are.
    pub refusals_per_minute: u32,
    pub body_bytes: usize,
}

/// The slowest body that is still taken, after the grace.
pub const BODY_BYTES_PER_SECOND: u64 = 8 * 1024;

#[derive(Debug, Clone, PartialEq)]
pub struct QueryLimits {
    /// Queries evaluated at once.
    pub concurrent: usize,
    /// Of them, how many from one identity.
    pub concurrent_per_identity: usize,
    /// Queries that wait for their turn; beyond it the caller with the most waiting loses its last.
    pub queue: usize,
    /// How long one waits before it is answered 429.
    pub queue_timeout: Duration,
    /// The longest a query may take; a request can ask for less.
    pub timeout: Duration,
    /// Names, values or series in one answer of the label and series calls.
    pub rows: usize,
    /// Samples in one remote read answer that is not streamed.
    pub read_samples: usize,
    /// How long a client may leave an answer's next 64 KiB unread.
    pub stall_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            total: 10_000,
            per_address: 500,
            strangers: 1_000,
            handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(180),
            header_bytes: 64 * 1024,
            header_count: 100,
            streams: 128,
            listeners: 16,
            max_age: Duration::from_secs(3600),
            shutdown_deadline: Duration::from_secs(30),
        }
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            compressed_bytes: 8 << 20,
            decoded_bytes: 32 << 20,
            samples: 100_000,
            writing_bytes: 256 << 20,
            form_bytes: 8 << 20,
            body_grace: Duration::from_secs(10),
            overload_is_429: false,
        }
    }
}

impl Default for EnrolmentLimits {
    fn default() -> Self {
        Self { requests_per_minute: 60, refusals_per_minute: 5, body_bytes: 64 << 10 }
    }
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            concurrent: 20,
            concurrent_per_identity: 16,
            queue: 64,
            queue_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(120),
            rows: 1_000_000,
            read_samples: 50_000_000,
            stall_timeout: Duration::from_secs(30),
        }
    }
}

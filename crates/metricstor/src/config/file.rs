//! The configuration file as people write it. Every key has a default, which is that of the crate
//! it is for; none is a secret.

use std::path::PathBuf;

use metricstor_http as http;
use metricstor_pki::{Kind, Rule};
use metricstor_promql::EngineOptions;
use metricstor_storage::StoreConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::quantity::{Size, Span};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The address with mutual TLS.
    pub listen: String,
    /// A second address without TLS; must be loopback.
    pub loopback_http: Option<String>,
    /// A socket file without TLS, which only the server's own user may open.
    pub unix_socket: Option<PathBuf>,
    pub log_level: String,
    pub tls: Tls,
    pub storage: Storage,
    pub write: Write,
    pub query: Query,
    pub connections: Connections,
    pub memory: Memory,
    pub enrolment: Enrolment,
    /// Who may do what; taken over while the server runs. Absent: people everything, programs read
    /// and write, machines write.
    pub policy: Option<Vec<Rule>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// DNS names and addresses by which clients reach this server, besides localhost.
    pub host_names: Vec<String>,
    /// The name of the trust domain in every identity.
    pub trust_domain: String,
    /// How long the server's own certificate lives; it is renewed after a quarter of that.
    pub certificate_life: Span,
    /// Where others can fetch revocation lists, as the server's certificate tells them; by default
    /// `/pki/v1/crl` at the first host name. Empty: it tells nothing.
    pub crl_url: Option<String>,
    /// Also speak TLS 1.2, for clients that cannot do better.
    pub allow_tls12: bool,
    /// Refuse a connection without a client certificate in its handshake, health checks and bearer
    /// tokens included; otherwise all but those is refused by HTTP.
    pub require_certificate: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Older samples are refused and deleted.
    pub retention: Span,
    /// The oldest chunk files are deleted while all together are larger; by default none is.
    pub retention_size: Option<Size>,
    /// Disk space kept aside, so that a full disk can still be flushed to and freed; held when less
    /// than eight times as much is left.
    pub reserve: Size,
    /// Every chunk file is read once in this time, to find damage early; 0: never.
    pub scrub_interval: Span,
    /// Samples further ahead of the clock are refused.
    pub future_limit: Span,
    /// Series, all together.
    pub max_series: usize,
    /// Labels of one series.
    pub max_labels: usize,
    /// A label's name.
    pub max_label_name: Size,
    /// A label's value.
    pub max_label_value: Size,
    /// Exemplars that wait in memory for the next flush; more are dropped.
    pub max_exemplars: usize,
    /// Wait this long for more requests to share an fsync.
    pub commit_linger: Span,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Write {
    /// A request as sent.
    pub max_compressed: Size,
    /// A request after decompression.
    pub max_decoded: Size,
    /// Samples of one request.
    pub max_samples: usize,
    /// Decoded bytes of all requests in work.
    pub max_in_work: Size,
    /// Answer overload with 429 instead of 503.
    pub overload_is_429: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    pub timeout: Span,
    /// How far back an instant selector looks for a sample.
    pub lookback: Span,
    /// Queries evaluated at once; by default four per processor, at most 20.
    pub concurrency: Option<usize>,
    /// Of them, how many for one identity; by default three quarters.
    pub concurrency_per_identity: Option<usize>,
    /// Queries that may wait for their turn; beyond it who has most waiting loses its last.
    pub queue: usize,
    pub queue_timeout: Span,
    /// A query's text.
    pub max_length: Size,
    /// Memory of all regular expressions of one request's selectors.
    pub max_regex_memory: Size,
    /// Functions and syntax that Prometheus calls experimental.
    pub experimental: bool,
    /// Names of metrics are removed at the end of a query, as by Prometheus' feature of this name.
    pub delayed_name_removal: bool,
    /// Counters count from their start timestamps on (remote write 2.0), as by Prometheus' feature
    /// `use-start-timestamps`, and `start_timestamp()` tells them.
    pub start_timestamps: bool,
    /// Samples one query may hold at once.
    pub max_samples: usize,
    /// Series one selector may match.
    pub max_series: usize,
    /// Memory one query may hold; by default a sixteenth of the machine's or the control group's.
    pub max_memory: Option<Size>,
    /// Threads that help queries, all together; by default one per processor.
    pub threads: Option<usize>,
    /// Rows of one answer of the series and label calls.
    pub max_rows: usize,
    /// Samples in one remote read answer that is not streamed.
    pub max_read_samples: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Connections {
    pub max: usize,
    pub max_per_address: usize,
    /// Of them, how many without a client certificate, unfinished handshakes included; the oldest is
    /// closed for the next.
    pub max_strangers: usize,
    pub handshake_timeout: Span,
    pub idle_timeout: Span,
    /// Of them, how many may listen for notifications.
    pub max_listeners: usize,
    /// The longest life of a connection; it ends with its certificate in any case.
    pub max_age: Span,
    /// How long a stop waits for requests in work.
    pub shutdown_deadline: Span,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Enrolment {
    /// Requests for certificates a minute, from one address or identity.
    pub requests_per_minute: u32,
    /// Refused ones a minute after which all are refused.
    pub refusals_per_minute: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// What buffers, samples in memory, index and queries may hold together; by default 60 % of
    /// the machine's memory or the control group's. Beyond it writes are answered 503, queries 422.
    pub limit: Option<Size>,
    /// The part of it that keeps blocks of chunk files that queries read lately; by default a
    /// sixteenth.
    pub block_cache: Option<Size>,
}

impl File {
    /// Every key with its value.
    pub fn tree(&self) -> Value {
        serde_json::to_value(self).expect("plain data can be serialised")
    }

    /// As YAML, to be shown.
    pub fn to_yaml(&self) -> String {
        serde_saphyr::to_string(self).expect("plain data can be serialised")
    }
}

impl Default for File {
    fn default() -> Self {
        Self {
            data_dir: "metricstor-data".into(),
            listen: "127.0.0.1:9101".to_owned(),
            loopback_http: None,
            unix_socket: None,
            log_level: "info".to_owned(),
            tls: Tls::default(),
            storage: Storage::default(),
            write: Write::default(),
            query: Query::default(),
            connections: Connections::default(),
            memory: Memory::default(),
            enrolment: Enrolment::default(),
            policy: None,
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            host_names: Vec::new(),
            certificate_life: Span::of(Kind::Node.lifetime()),
            crl_url: None,
            trust_domain: "metricstor".to_owned(),
            allow_tls12: false,
            require_certificate: false,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        let config = StoreConfig::new("");
        Self {
            retention: Span(config.retention_ms),
            retention_size: config.retention_bytes.map(|bytes| Size(bytes as usize)),
            reserve: Size(64 << 20),
            scrub_interval: Span(config.scrub_interval_ms),
            future_limit: Span(config.future_max_ms),
            max_series: config.series_max,
            max_labels: config.labels.count_max,
            max_label_name: Size(config.labels.name_size_max),
            max_label_value: Size(config.labels.value_size_max),
            max_exemplars: config.exemplars_max,
            commit_linger: Span::of(config.commit_linger),
        }
    }
}

impl Default for Write {
    fn default() -> Self {
        let limits = http::RequestLimits::default();
        Self {
            max_compressed: Size(limits.compressed_bytes),
            max_decoded: Size(limits.decoded_bytes),
            max_samples: limits.samples,
            max_in_work: Size(limits.writing_bytes),
            overload_is_429: limits.overload_is_429,
        }
    }
}

impl Default for Query {
    fn default() -> Self {
        let limits = http::QueryLimits::default();
        let engine = EngineOptions::default();
        Self {
            timeout: Span::of(limits.timeout),
            lookback: Span(engine.lookback_ms),
            concurrency: None,
            concurrency_per_identity: None,
            queue: limits.queue,
            queue_timeout: Span::of(limits.queue_timeout),
            max_length: Size(engine.syntax.length_max),
            max_regex_memory: Size(engine.syntax.regex_memory_max),
            experimental: engine.syntax.experimental,
            delayed_name_removal: engine.delayed_name_removal,
            start_timestamps: engine.start_timestamps,
            max_samples: engine.samples_max,
            max_series: engine.series_max,
            max_memory: None,
            threads: None,
            max_rows: limits.rows,
            max_read_samples: limits.read_samples,
        }
    }
}

impl Default for Connections {
    fn default() -> Self {
        let limits = http::ConnectionLimits::default();
        Self {
            max: limits.total,
            max_per_address: limits.per_address,
            max_strangers: limits.strangers,
            handshake_timeout: Span::of(limits.handshake_timeout),
            idle_timeout: Span::of(limits.idle_timeout),
            max_listeners: limits.listeners,
            max_age: Span::of(limits.max_age),
            shutdown_deadline: Span::of(limits.shutdown_deadline),
        }
    }
}

impl Default for Enrolment {
    fn default() -> Self {
        let limits = http::EnrolmentLimits::default();
        Self {
            requests_per_minute: limits.requests_per_minute,
            refusals_per_minute: limits.refusals_per_minute,
        }
    }
}

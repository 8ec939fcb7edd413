//! The settings as the program uses them: checked, in the types of the crates that need them.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use metricstor_http as http;
use metricstor_memory::Budget;
use metricstor_pki::{Policy, TrustDomain};
use metricstor_promql::{EngineOptions, ParseOptions};
use metricstor_storage::{LabelLimits, StoreConfig};
use tracing::level_filters::LevelFilter;

use super::quantity::{Size, Span};
use super::{ConfigError, File};
use crate::memory;

#[derive(Debug, Clone)]
pub struct Settings {
    pub listen: SocketAddr,
    pub loopback_http: Option<SocketAddr>,
    pub unix_socket: Option<PathBuf>,
    pub log_level: LevelFilter,
    pub trust_domain: TrustDomain,
    pub host_names: Vec<String>,
    pub certificate_life: Duration,
    /// As configured: absent for the default, empty for none.
    pub crl_url: Option<String>,
    pub allow_tls12: bool,
    pub require_certificate: bool,
    pub store: StoreConfig,
    pub engine: EngineOptions,
    pub http: http::Config,
}

impl TryFrom<&File> for Settings {
    type Error = ConfigError;

    fn try_from(file: &File) -> Result<Self, ConfigError> {
        let loopback_http = match &file.loopback_http {
            None => None,
            Some(text) => Some(loopback(text)?),
        };
        policy(file)?;
        let limit = memory_limit(file)?;
        let block_cache_bytes = block_cache(file, limit)?;
        let memory = Budget::new(limit);
        Ok(Self {
            listen: address("listen", &file.listen)?,
            loopback_http,
            unix_socket: file.unix_socket.clone(),
            log_level: parse("log_level", &file.log_level, "error, warn, info, debug or trace")?,
            trust_domain: file
                .tls
                .trust_domain
                .parse()
                .map_err(|e| invalid("tls.trust_domain", format!("{e}")))?,
            host_names: file.tls.host_names.clone(),
            certificate_life: certificate_life(file.tls.certificate_life)?,
            crl_url: file.tls.crl_url.as_deref().map(crl_url).transpose()?,
            allow_tls12: file.tls.allow_tls12,
            require_certificate: file.tls.require_certificate,
            store: StoreConfig { memory: Arc::clone(&memory), block_cache_bytes, ..store(file)? },
            engine: EngineOptions { memory, ..engine(file)? },
            http: http_config(file)?,
        })
    }
}

impl Settings {
    /// The file with what was worked out for this machine in the place of what it leaves open.
    pub fn in_effect(&self, file: &File) -> File {
        let mut file = file.clone();
        let (query, queries) = (&mut file.query, &self.http.queries);
        query.concurrency = Some(queries.concurrent);
        query.concurrency_per_identity = Some(queries.concurrent_per_identity);
        query.max_memory = Some(Size(self.engine.memory_max));
        query.threads = Some(self.engine.threads);
        file.memory.limit = Some(Size(self.store.memory.limit()));
        file.memory.block_cache = Some(Size(self.store.block_cache_bytes));
        file
    }
}

/// The policy that the file describes.
pub fn policy(file: &File) -> Result<Policy, ConfigError> {
    match &file.policy {
        None => Ok(Policy::default()),
        Some(rules) => Ok(Policy::new(rules)?),
    }
}

fn store(file: &File) -> Result<StoreConfig, ConfigError> {
    let storage = &file.storage;
    let defaults = StoreConfig::new(&file.data_dir);
    Ok(StoreConfig {
        retention_ms: positive("storage.retention", storage.retention)?.0,
        retention_bytes: storage.retention_size.map(|size| size.0 as u64),
        future_max_ms: storage.future_limit.0,
        series_max: at_least_one("storage.max_series", storage.max_series)?,
        labels: LabelLimits {
            count_max: at_least_one("storage.max_labels", storage.max_labels)?,
            name_size_max: at_least_one("storage.max_label_name", storage.max_label_name.0)?,
            value_size_max: at_least_one("storage.max_label_value", storage.max_label_value.0)?,
        },
        reserve_bytes: storage.reserve.0 as u64,
        scrub_interval_ms: storage.scrub_interval.0,
        exemplars_max: storage.max_exemplars,
        commit_linger: storage.commit_linger.duration(),
        ..defaults
    })
}

fn engine(file: &File) -> Result<EngineOptions, ConfigError> {
    let query = &file.query;
    let memory = query.max_memory.map_or_else(query_memory, |size| size.0);
    let threads = query.threads.unwrap_or_else(processors);
    Ok(EngineOptions {
        syntax: ParseOptions {
            length_max: at_least_one("query.max_length", query.max_length.0)?,
            regex_memory_max: at_least_one("query.max_regex_memory", query.max_regex_memory.0)?,
            light_regexes: false,
            experimental: query.experimental,
        },
        delayed_name_removal: query.delayed_name_removal,
        start_timestamps: query.start_timestamps,
        lookback_ms: positive("query.lookback", query.lookback)?.0,
        samples_max: at_least_one("query.max_samples", query.max_samples)?,
        series_max: at_least_one("query.max_series", query.max_series)?,
        memory_max: at_least_one("query.max_memory", memory)?,
        threads: at_least_one("query.threads", threads)?,
        ..EngineOptions::default()
    })
}

fn http_config(file: &File) -> Result<http::Config, ConfigError> {
    let (write, query, connections) = (&file.write, &file.query, &file.connections);
    let concurrent = query.concurrency.unwrap_or((4 * processors()).min(20));
    let concurrent = at_least_one("query.concurrency", concurrent)?;
    Ok(http::Config {
        connections: http::ConnectionLimits {
            total: at_least_one("connections.max", connections.max)?,
            per_address: at_least_one("connections.max_per_address", connections.max_per_address)?,
            strangers: at_least_one("connections.max_strangers", connections.max_strangers)?,
            handshake_timeout: positive(
                "connections.handshake_timeout",
                connections.handshake_timeout,
            )?
            .duration(),
            idle_timeout: positive("connections.idle_timeout", connections.idle_timeout)?
                .duration(),
            listeners: connections.max_listeners,
            max_age: positive("connections.max_age", connections.max_age)?.duration(),
            shutdown_deadline: connections.shutdown_deadline.duration(),
            ..http::ConnectionLimits::default()
        },
        requests: http::RequestLimits {
            compressed_bytes: at_least_one("write.max_compressed", write.max_compressed.0)?,
            decoded_bytes: at_least_one("write.max_decoded", write.max_decoded.0)?,
            samples: at_least_one("write.max_samples", write.max_samples)?,
            writing_bytes: write.max_in_work.0,
            overload_is_429: write.overload_is_429,
            ..http::RequestLimits::default()
        },
        queries: http::QueryLimits {
            concurrent,
            concurrent_per_identity: at_least_one(
                "query.concurrency_per_identity",
                query.concurrency_per_identity.unwrap_or(concurrent.div_ceil(4) * 3),
            )?,
            queue: query.queue,
            queue_timeout: query.queue_timeout.duration(),
            timeout: positive("query.timeout", query.timeout)?.duration(),
            rows: at_least_one("query.max_rows", query.max_rows)?,
            read_samples: at_least_one("query.max_read_samples", query.max_read_samples)?,
            ..http::QueryLimits::default()
        },
        enrolment: http::EnrolmentLimits {
            requests_per_minute: file.enrolment.requests_per_minute,
            refusals_per_minute: file.enrolment.refusals_per_minute,
            ..http::EnrolmentLimits::default()
        },
    })
}

/// Clients of the more careful sort take no certificate of more than 825 days.
const CERTIFICATE_LIFE: RangeInclusive<Span> = Span(86_400_000)..=Span(825 * 86_400_000);

fn certificate_life(life: Span) -> Result<Duration, ConfigError> {
    if CERTIFICATE_LIFE.contains(&life) {
        return Ok(life.duration());
    }
    Err(invalid("tls.certificate_life", format!("{life} is not between 1d and 825d")))
}

/// Longer ones make every handshake longer.
const CRL_URL_LENGTH_MAX: usize = 512;

fn crl_url(url: &str) -> Result<String, ConfigError> {
    let has_scheme = url.starts_with("http://") || url.starts_with("https://");
    let is_plain = url.len() <= CRL_URL_LENGTH_MAX && url.bytes().all(|b| b.is_ascii_graphic());
    if url.is_empty() || has_scheme && is_plain {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    Err(invalid("tls.crl_url", format!("{url:?} is not an http or https URL")))
}

fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// With less not even a small request finds room beside the index of a few series.
const MEMORY_LIMIT_MIN: Size = Size(16 << 20);

/// Beyond the limit stand what the allocator keeps, stacks, and the pages of files being written.
fn memory_limit(file: &File) -> Result<usize, ConfigError> {
    let Some(size) = file.memory.limit else {
        let share = memory::available() / 10 * 6;
        return Ok(usize::try_from(share).unwrap_or(usize::MAX).max(128 << 20));
    };
    if size < MEMORY_LIMIT_MIN {
        let text = format!("{size} is less than {MEMORY_LIMIT_MIN}: nothing could be stored");
        return Err(invalid("memory.limit", text));
    }
    Ok(size.0)
}

/// A part of the limit; most of it has to be left for what cannot be read again.
fn block_cache(file: &File, limit: usize) -> Result<usize, ConfigError> {
    let size = file.memory.block_cache.map_or(limit / 16, |size| size.0);
    if size > limit / 2 {
        return Err(invalid("memory.block_cache", "more than half of memory.limit".to_owned()));
    }
    Ok(size)
}

fn query_memory() -> usize {
    let share = memory::available() / 16;
    usize::try_from(share).unwrap_or(usize::MAX).max(64 << 20)
}

fn loopback(text: &str) -> Result<SocketAddr, ConfigError> {
    let address = address("loopback_http", text)?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    let text = format!(
        "{address} is not a loopback address; without TLS only 127.0.0.0/8 and ::1 are allowed"
    );
    Err(invalid("loopback_http", text))
}

fn address(name: &'static str, text: &str) -> Result<SocketAddr, ConfigError> {
    parse(name, text, "an IP address and a port, like 127.0.0.1:9101 or [::]:9101")
}

fn parse<T: std::str::FromStr>(
    name: &'static str,
    text: &str,
    expected: &str,
) -> Result<T, ConfigError> {
    text.parse().map_err(|_| invalid(name, format!("{text:?} is not {expected}")))
}

fn positive(name: &'static str, span: Span) -> Result<Span, ConfigError> {
    if span.0 > 0 { Ok(span) } else { Err(invalid(name, "must be longer than 0".to_owned())) }
}

fn at_least_one(name: &'static str, n: usize) -> Result<usize, ConfigError> {
    if n > 0 { Ok(n) } else { Err(invalid(name, "must be at least 1".to_owned())) }
}

fn invalid(name: &'static str, text: String) -> ConfigError {
    ConfigError::Setting { name, text }
}

//! The metrics of this crate, and those that storage counts, under their names.

use metricstor_pki::Provisioner;
use metricstor_storage::{Latency, Metrics, RefusalReason, Store};

use crate::metrics::{Counter, Gauge, Histogram, Labelled, Page, Registry};

pub struct Instruments {
    /// By path pattern and status.
    pub requests: Labelled<Counter>,
    /// By path pattern.
    pub took: Labelled<Histogram>,
    pub in_work: Gauge,
    pub panics: Counter,
    pub connections: Gauge,
    /// Connections by reason of refusal.
    pub refused: Labelled<Counter>,
    pub written_bytes: Counter,
    /// Write requests by version of the protocol.
    pub writes: Labelled<Counter>,
    /// Whole write requests by reason of refusal.
    pub refused_writes: Labelled<Counter>,
    pub queries: Gauge,
    pub waiting_queries: Gauge,
    /// By the limit that was exceeded, or another reason.
    pub refused_queries: Labelled<Counter>,
    /// Requests refused before a handler saw them, by reason.
    pub refused_requests: Labelled<Counter>,
    /// By what was asked for and what came of it.
    pub enrolments: Labelled<Counter>,
    pub refused_listeners: Counter,
}

impl Instruments {
    pub fn new(registry: &Registry) -> Self {
        Self {
            requests: registry.counters(
                "metricstor_http_requests_total",
                "Requests answered, by path and status.",
                &["path", "code"],
            ),
            took: registry.latencies(
                "metricstor_http_request_duration_seconds",
                "Time until the head of the answer, by path.",
                &["path"],
            ),
            in_work: registry.gauge("metricstor_http_requests_in_work", "Requests in work."),
            panics: registry.counter(
                "metricstor_http_panics_total",
                "Requests that failed for a bug of this server; each is logged.",
            ),
            connections: registry.gauge("metricstor_http_connections", "Open connections."),
            refused: registry.counters(
                "metricstor_http_connections_refused_total",
                "Connections refused or given up before their client was known, by reason.",
                &["reason"],
            ),
            written_bytes: registry
                .counter("metricstor_http_written_bytes_total", "Bytes of write requests as sent."),
            writes: registry.counters(
                "metricstor_http_writes_total",
                "Write requests by version of the protocol.",
                &["protocol"],
            ),
            refused_writes: registry.counters(
                "metricstor_http_refused_writes_total",
                "Write requests of which nothing was stored, by reason.",
                &["reason"],
            ),
            queries: registry.gauge("metricstor_http_queries", "Queries evaluated or waiting."),
            waiting_queries: registry
                .gauge("metricstor_http_queries_waiting", "Queries that wait for their turn."),
            refused_queries: registry.counters(
                "metricstor_http_refused_queries_total",
                "Queries and other reads that were not answered, by limit or other reason.",
                &["reason"],
            ),
            refused_requests: registry.counters(
                "metricstor_http_refused_requests_total",
                "Requests refused for who sent them, by reason.",
                &["reason"],
            ),
            enrolments: registry.counters(
                "metricstor_pki_requests_total",
                "Requests for certificates (enrol, approval, renew), by result.",
                &["request", "result"],
            ),
            refused_listeners: registry.counter(
                "metricstor_http_refused_listeners_total",
                "Listeners for notifications beyond connections.max_listeners.",
            ),
        }
    }
}

/// The version, as a label, as everybody looks for it.
pub fn build_metrics(page: &mut Page, version: &str) {
    let name = "metricstor_build_info";
    page.head(name, "Always 1; the label tells what runs.", "gauge");
    page.sample(&["version"], &[version.to_owned()], 1.0);
}

/// Identities shown one by one; who has more watches `metricstor ca identities`.
const EXPIRIES_MAX: usize = 2_000;

/// The authority, and when which certificate ends.
pub fn pki_metrics(page: &mut Page, pki: &Provisioner) {
    let expiries = pki.expiries().unwrap_or_default();
    let name = "metricstor_pki_certificate_not_after_seconds";
    let help = "When a certificate ends, in seconds since 1970; of an identity the newest one.";
    page.head(name, help, "gauge");
    for (kind, subject, end) in expiries.into_iter().take(EXPIRIES_MAX) {
        page.sample(&["kind", "name"], &[kind, subject], end.as_secs() as f64);
    }
    let now = pki.now().as_secs();
    let registrar = pki.registrar();
    let state = registrar.state();
    let pending = state.pending.values().filter(|pending| pending.verdict.is_none()).count();
    let tokens = state.tokens.values().filter(|t| t.uses_left > 0 && now < t.expires_at).count();
    let bearers = state.bearers.values().filter(|bearer| now < bearer.expires_at).count();
    let gauges = [
        ("pending_approvals", "Applicants that wait for approval.", pending as f64),
        ("tokens_active", "Enrolment tokens that can be used.", tokens as f64),
        ("bearer_tokens_active", "Bearer tokens that are valid.", bearers as f64),
        ("identities", "Enrolled identities.", state.enrolled.len() as f64),
        ("revoked_identities", "Revoked identities.", state.revoked.len() as f64),
        ("crl_age_seconds", "Age of the revocation lists last made.", pki.crl_age(now) as f64),
    ];
    for (noun, help, value) in gauges {
        page.gauge(&format!("metricstor_pki_{noun}"), help, value);
    }
    let failures = "Renewals of the server's own certificates that failed; the old ones serve.";
    page.counter("metricstor_pki_reload_failures_total", failures, pki.failures() as f64);
}

/// What storage counts about itself.
pub fn storage_metrics(page: &mut Page, store: &Store) {
    let metrics = store.metrics();
    counters(page, metrics);
    latency(page, "fsync", "Time from append to durable.", &metrics.fsync);
    latency(page, "reclaim", "Time to free a log segment.", &metrics.reclaim);
    latency(page, "apply", "Time to make a commit visible.", &metrics.apply);
    latency(page, "flush", "Time to move a head to a chunk file.", &metrics.flush);
    latency(page, "compaction", "Time to merge chunk files.", &metrics.compaction);
    pauses(page, store);
    state(page, store);
    let quarantined = "metricstor_storage_quarantined_blocks";
    page.head(quarantined, "Damaged places found in chunk files, by file.", "gauge");
    for (file, places) in store.quarantined() {
        page.sample(&["file"], &[file], places as f64);
    }
    memory(page, store);
}

fn counters(page: &mut Page, metrics: &Metrics) {
    let counters = [
        ("samples_accepted", "Samples stored or there already.", &metrics.samples_accepted),
        ("samples_duplicate", "Accepted samples that were there.", &metrics.samples_duplicate),
        ("series_created", "Series seen for the first time.", &metrics.series_created),
        ("exemplars", "Exemplars stored or there already.", &metrics.exemplars),
        ("exemplars_dropped", "Exemplars beyond a limit.", &metrics.exemplars_dropped),
        ("series_removed", "Series without samples left.", &metrics.series_removed),
        ("writes_shed", "Writes refused because too much waits.", &metrics.writes_shed),
        ("log_bytes", "Bytes appended to the log.", &metrics.log_bytes),
        ("log_entries", "Entries appended to the log.", &metrics.log_entries),
        ("log_segments_freed", "Log segments freed.", &metrics.log_segments_freed),
        ("commit_requests", "Requests committed.", &metrics.commit_requests),
        ("flushed_samples", "Samples moved to chunk files.", &metrics.flushed_samples),
        ("compacted_bytes", "Bytes of merged chunk files.", &metrics.compacted_bytes),
        ("chunk_files_expired", "Files deleted by retention.", &metrics.chunk_files_expired),
        ("deletions", "Deletions, one per shard.", &metrics.deletions),
        ("blocks_read", "Blocks read from files, not from the cache.", &metrics.blocks_read),
        ("damaged_reads", "Reads that failed for damage.", &metrics.damaged_reads),
        ("scrubbed_bytes", "Bytes read to find damage.", &metrics.scrubbed_bytes),
        ("scrub_damage", "Damaged places that the scrub met.", &metrics.scrub_damage),
        ("maintenance_panics", "Maintenance that a bug ended.", &metrics.maintenance_panics),
    ];
    for (noun, help, count) in counters {
        page.counter(&format!("metricstor_storage_{noun}_total"), help, count.get() as f64);
    }
    let refused = "metricstor_storage_samples_refused_total";
    page.head(refused, "Samples refused one by one, by reason.", "counter");
    for reason in RefusalReason::ALL {
        let value = metrics.samples_refused(reason) as f64;
        page.sample(&["reason"], &[reason.name().to_owned()], value);
    }
}

/// What there is now.
fn state(page: &mut Page, store: &Store) {
    let statistics = store.statistics();
    let gauges = [
        ("series", "Series in the index.", statistics.series as f64),
        ("active_series", "Series with samples in memory.", statistics.active_series as f64),
        ("head_samples", "Samples in memory.", statistics.head_samples as f64),
        ("head_bytes", "Bytes of samples in memory.", statistics.head_bytes as f64),
        ("index_bytes", "Bytes of the index in memory.", statistics.index_bytes as f64),
        ("known_bytes", "Bytes that recognise known series.", statistics.known_bytes as f64),
        ("chunk_files", "Chunk files.", statistics.chunk_files as f64),
        ("chunk_file_bytes", "Bytes of chunk files.", statistics.chunk_file_bytes as f64),
        ("chunk_file_samples", "Samples in chunk files.", statistics.chunk_file_samples as f64),
        ("block_cache_bytes", "Bytes in the block cache.", store.block_cache_bytes()),
        ("tombstones", "Deletions with samples in files.", statistics.tombstones as f64),
        (
            "commit_queue_bytes",
            "Bytes that wait to be durable.",
            statistics.commit_queue_bytes as f64,
        ),
        ("reserve_bytes", "Bytes of disk kept aside.", statistics.reserve_bytes as f64),
        (
            "scrubbed_timestamp_seconds",
            "When the scrub had last read every chunk file; 0: not yet.",
            statistics.scrubbed.unwrap_or(0) as f64 / 1000.0,
        ),
        (
            "disk_free_bytes",
            "Bytes of the data directory's disk that are left.",
            statistics.free_bytes.map_or(f64::NAN, |bytes| bytes as f64),
        ),
    ];
    for (noun, help, value) in gauges {
        page.gauge(&format!("metricstor_storage_{noun}"), help, value);
    }
}

fn memory(page: &mut Page, store: &Store) {
    let memory = store.memory();
    page.gauge("metricstor_memory_limit_bytes", "Setting memory.limit.", memory.limit() as f64);
    let held = "Memory counted against memory.limit, all of memory.block_cache included.";
    page.gauge("metricstor_memory_held_bytes", held, memory.held() as f64);
    let refused = "metricstor_memory_refused_total";
    page.counter(
        refused,
        "Requests and queries that did not fit into memory.limit.",
        memory.refused() as f64,
    );
}

fn latency(page: &mut Page, noun: &str, help: &str, latency: &Latency) {
    let name = format!("metricstor_storage_{noun}_duration_seconds");
    page.head(&name, help, "histogram");
    let (count, sum) = (latency.count(), latency.sum_seconds());
    page.buckets((&[], &[]), latency.buckets(), count, sum);
}

/// How long writes or reads had to wait for one holder of a lock, by lock.
fn pauses(page: &mut Page, store: &Store) {
    let name = "metricstor_storage_pause_seconds";
    page.head(name, "How long a lock was held against all others.", "histogram");
    let by_lock = || store.metrics().pauses.by_lock();
    for (lock, held) in by_lock() {
        let labels: (&[&str], &[String]) = (&["lock"], &[lock.to_owned()]);
        page.buckets(labels, held.buckets(), held.count(), held.sum_seconds());
    }
    let name = "metricstor_storage_longest_pause_seconds";
    page.head(name, "The longest that a lock was held since the start.", "gauge");
    for (lock, held) in by_lock() {
        page.sample(&["lock"], &[lock.to_owned()], held.longest_seconds());
    }
    let name = "metricstor_storage_longest_fsync_seconds";
    let longest = store.metrics().fsync.longest_seconds();
    page.gauge(
        name,
        "The longest that a commit waited for the log's disk since the start.",
        longest,
    );
}

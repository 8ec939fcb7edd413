//! What the handlers share: finished parts, handed over by the composition root.

use std::sync::Arc;

use metricstor_pki::Provisioner;
use metricstor_promql::Engine;
use metricstor_storage::{Clock, Store};
use tokio::sync::{Semaphore, watch};

use crate::config::Config;
use crate::gate::Gate;
use crate::instruments::{Instruments, build_metrics, pki_metrics, storage_metrics};
use crate::metrics::Registry;
use crate::provision::Attempts;
use crate::query::Busy;
use crate::running::Running;
use crate::sender::Senders;

/// What the server says about itself.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The version of metricstor.
    pub version: &'static str,
    /// Command-line flags with their values in effect.
    pub flags: Vec<(String, String)>,
    /// The configuration in effect, as YAML, without secrets.
    pub config_yaml: String,
    pub hostname: String,
    /// The data directory.
    pub directory: String,
    /// The retention, as written.
    pub retention: String,
}

/// The parts of a running server.
pub struct Parts {
    pub store: Arc<Store>,
    pub pki: Arc<Provisioner>,
    pub engine: Engine,
    pub registry: Arc<Registry>,
    pub clock: Clock,
    pub about: About,
    pub config: Config,
}

/// The shared state of all handlers.
pub struct App {
    /// Everybody's data: what answers a caller reads through [`crate::view::View`].
    pub(crate) unscoped_store: Arc<Store>,
    pub(crate) pki: Arc<Provisioner>,
    pub(crate) senders: Senders,
    pub(crate) attempts: Attempts,
    pub(crate) engine: Engine,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Clock,
    pub(crate) about: About,
    pub(crate) config: Config,
    pub(crate) gate: Gate,
    pub(crate) running: Arc<Running>,
    pub(crate) busy: Busy,
    pub(crate) writing: Arc<Semaphore>,
    /// Places for those who listen for notifications.
    pub(crate) listeners: Arc<Semaphore>,
    pub(crate) instruments: Instruments,
    pub(crate) started_ms: i64,
    /// True once the server begins to stop.
    pub(crate) stopping: watch::Sender<bool>,
}

impl App {
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { store, pki, engine, registry, clock, about, config } = parts;
        let (shown, authority, version) = (Arc::clone(&store), Arc::clone(&pki), about.version);
        registry.collect(move |page| {
            build_metrics(page, version);
            storage_metrics(page, &shown);
            pki_metrics(page, &authority);
        });
        let instruments = Instruments::new(&registry);
        Arc::new(Self {
            gate: Gate::new(&config.queries, instruments.waiting_queries.clone()),
            running: Arc::default(),
            busy: Busy::default(),
            writing: Arc::new(Semaphore::new(config.requests.writing_bytes)),
            listeners: Arc::new(Semaphore::new(config.connections.listeners)),
            instruments,
            started_ms: clock(),
            stopping: watch::Sender::new(false),
            senders: Senders::new(store.label_limits()),
            attempts: Attempts::new(&config.enrolment),
            unscoped_store: store,
            pki,
            engine,
            registry,
            clock,
            about,
            config,
        })
    }

    /// The engine under a memory limit of the caller's own.
    pub(crate) fn engine_with(&self, memory_max: Option<u64>) -> Engine {
        let Some(own) = memory_max else { return self.engine.clone() };
        self.engine.with_memory_max(usize::try_from(own).unwrap_or(usize::MAX))
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Resolves when the server begins to stop.
    pub(crate) async fn stopping(&self) {
        let mut stopping = self.stopping.subscribe();
        // It fails only without a sender, which lives as long as `self`.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    pub(crate) fn now(&self) -> i64 {
        (self.clock)()
    }
}

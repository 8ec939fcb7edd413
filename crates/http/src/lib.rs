//! The HTTP side of metricstor: the only place that knows statuses and Prometheus' JSON.
//!
//! Floor 3 (network): tokio lives here and above. Storage and evaluation are synchronous and run on
//! blocking threads; the composition root hands over finished [`Parts`] and calls [`serve`].

mod admin;
mod app;
mod body;
mod caller;
mod config;
mod disk;
mod empty;
mod error;
mod gate;
mod health;
mod ingest;
mod instruments;
mod json;
mod metrics;
mod notifications;
mod param;
mod provision;
mod query;
mod redirect;
mod reply;
mod route;
mod running;
mod search;
mod sender;
mod server;
mod status;
mod view;

pub use app::{About, App, Parts};
pub use config::{Config, ConnectionLimits, EnrolmentLimits, QueryLimits, RequestLimits};
pub use disk::ServingFiles;
pub use metrics::{Counter, Gauge, Labelled, Page, Registry, process_metrics};
pub use param::{format_time, parse_duration, parse_time};
pub use server::{ListenError, Listener, Security, runtime, serve};

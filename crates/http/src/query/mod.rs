//! Prometheus' query API over the store and the engine.

mod catalog;
mod evaluate;
mod explain;
mod federate;
mod histogram;
mod label_name;
mod result;
mod run;
mod selector;
mod text;

pub use catalog::{label_names, label_values, metadata, series};
pub use evaluate::{exemplars, instant, range};
pub use federate::federate;
pub(crate) use run::{Ask, run};
pub use text::{format, parse};

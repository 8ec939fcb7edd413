//! Prometheus' query API over the store and the engine.

mod catalog;
mod effort;
mod evaluate;
mod exemplars;
mod explain;
mod federate;
mod histogram;
mod label_name;
mod memory;
mod remote_read;
mod result;
mod run;
pub use run::blocking;
mod selector;
mod text;

pub use catalog::{label_names, label_values, metadata, series};
pub(crate) use effort::Busy;
pub use evaluate::{instant, range};
pub use exemplars::exemplars;
pub use federate::federate;
pub use remote_read::remote_read;
pub(crate) use run::{Ask, Reading, run};
pub(crate) use selector::selectors;
pub use text::{format, parse};

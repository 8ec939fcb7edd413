//! Where log lines go: to the journal with structured fields when systemd reads our stderr, else to
//! stderr for people.

mod journal;

use std::io::{self, IsTerminal};

use anyhow::Context;
use systemd_journal_logger::connected_to_journal;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use self::journal::Journal;

/// Installs the process-wide subscriber.
pub fn start(level: LevelFilter) -> anyhow::Result<()> {
    if connected_to_journal() {
        let journal = Journal::open().context("cannot open the journal's socket")?;
        registry().with(journal.with_filter(level)).try_init()?;
    } else {
        let people = fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false);
        registry().with(people.with_filter(level)).try_init()?;
    }
    Ok(())
}

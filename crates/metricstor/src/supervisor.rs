//! What systemd is told: ready, stopping, alive; and what stops the process.

use std::time::Duration;

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::interval;

/// Resolves at the first SIGTERM or SIGINT.
pub fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("stopping: SIGTERM"),
            _ = interrupt.recv() => tracing::info!("stopping: SIGINT"),
        }
        tell(NotifyState::Stopping);
    })
}

pub fn ready() {
    tell(NotifyState::Ready);
}

/// Tells the watchdog twice per period that the runtime still turns; ends at once when nobody asks.
pub async fn feed_watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let mut due = interval((period / 2).max(Duration::from_millis(1)));
    loop {
        due.tick().await;
        tell(NotifyState::Watchdog);
    }
}

/// Does nothing unless systemd started us with Type=notify.
fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}

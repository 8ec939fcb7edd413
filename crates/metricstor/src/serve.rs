//! The composition root: builds every part in order, serves, and takes everything down in reverse.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use metricstor_http::{
    About, App, Listener, Parts, Registry, Security, ServingFiles, format_time, process_metrics,
    runtime, serve as listen,
};
use metricstor_promql::Engine;
use metricstor_storage::files::Disk;
use metricstor_storage::{Clock, HashSecret, Store, StoreConfig};
use rustix::system::uname;
use systemd_journal_logger::connected_to_journal;

use crate::cli::ServeArgs;
use crate::config::{File, Settings, load, policy};
use crate::policy_watch::PolicyWatch;
use crate::welcome::Welcome;
use crate::{descriptors, log, memory, pki, supervisor};

/// Runs until SIGTERM or SIGINT.
pub fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    let started = SystemTime::now();
    let file = load(args, std::env::vars_os())?;
    let mut settings = Settings::try_from(&file)?;
    log::start(settings.log_level)?;
    let config = args.config.as_deref().map_or("none".into(), Path::to_string_lossy);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %config, "starting");

    let (limit, there) = (settings.store.memory.limit(), memory::available());
    if limit as u64 > there {
        tracing::warn!(limit, there, "memory.limit is more than the memory there is, in bytes");
    }
    let connections = &mut settings.http.connections;
    connections.total = descriptors::connections(connections.total, descriptors::raise_limit());
    let store = Arc::new(open_store(&settings)?);
    let dir = settings.store.dir.canonicalize().context("cannot find the data directory")?;
    let pki = pki::open(&dir, &settings, policy(&file)?)?;
    let registry = Arc::new(Registry::default());
    registry.collect(move |page| process_metrics(page, started));
    let app = App::new(Parts {
        store: Arc::clone(&store),
        pki: Arc::clone(&pki),
        engine: Engine::new(settings.engine.clone())?,
        registry: Arc::clone(&registry),
        clock: clock(),
        about: about(&settings.in_effect(&file), &dir),
        config: settings.http.clone(),
    });

    let runtime = runtime().context("cannot start the runtime")?;
    let served = runtime.block_on(async {
        let watch = PolicyWatch::new(args, file, Arc::clone(&pki), &registry)?;
        let chores = [tokio::spawn(watch.follow()), tokio::spawn(pki::keep_renewed(pki))];
        let served = run(app, &settings, &dir).await;
        chores.iter().for_each(tokio::task::JoinHandle::abort);
        served
    });
    // Queries whose time is not up may still run; what they read stays valid until they end.
    runtime.shutdown_timeout(settings.http.connections.shutdown_deadline);
    store.close();
    tracing::info!("stopped");
    served
}

/// Listens, says so, and serves.
async fn run(app: Arc<App>, settings: &Settings, dir: &Path) -> anyhow::Result<()> {
    let stop = supervisor::stop_signal()?;
    let mut listeners = vec![Listener::bind(settings.listen, Security::Tls).await?];
    if let Some(address) = settings.loopback_http {
        listeners.push(Listener::bind(address, Security::Loopback).await?);
    }
    let welcome = Welcome {
        tls: listeners[0].address()?,
        plain: listeners.get(1).map(Listener::address).transpose()?,
        dir: dir.to_owned(),
    };
    if let Some(path) = &settings.unix_socket {
        listeners.push(Listener::bind_unix(path).await?);
    }
    let plain = welcome.plain.map_or("off".to_owned(), |address| address.to_string());
    tracing::info!(listen = %welcome.tls, loopback_http = plain, data = %dir.display(), "ready");
    if !connected_to_journal() {
        // Nobody has to read it; the server serves all the same.
        let _ = say!("{welcome}");
    }
    supervisor::ready();
    let watchdog = tokio::spawn(supervisor::feed_watchdog());
    listen(app, listeners, stop).await;
    watchdog.abort();
    Ok(())
}

fn open_store(settings: &Settings) -> anyhow::Result<Store> {
    // For a new directory only: whose log it is.
    let node_id = u128::from_le_bytes(metricstor_pki::random()?);
    let hash_secret = HashSecret(metricstor_pki::random()?);
    let config = StoreConfig { node_id, hash_secret, ..settings.store.clone() };
    let (store, found) = Store::open(config, Arc::new(ServingFiles(Disk)), clock())?;
    let range = store.range();
    tracing::info!(
        series = found.series,
        chunk_files = found.chunk_files,
        replayed_samples = found.replayed_samples,
        leftovers = found.leftovers,
        first = range.map(|r| format_time(r.start)),
        last = range.map(|r| format_time(r.end)),
        "opened the store"
    );
    if let Some(tail) = &found.torn_tail {
        tracing::warn!(
            tail,
            "cut off what an interrupted write left; nothing of it was acknowledged"
        );
    }
    Ok(store)
}

fn clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

fn about(file: &File, dir: &Path) -> About {
    let flags = [
        ("config.listen", file.listen.clone()),
        ("storage.data-dir", dir.display().to_string()),
        ("storage.retention", file.storage.retention.to_string()),
        ("log.level", file.log_level.clone()),
    ];
    About {
        version: env!("CARGO_PKG_VERSION"),
        flags: flags.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        config_yaml: file.to_yaml(),
        hostname: uname().nodename().to_string_lossy().into_owned(),
        directory: dir.display().to_string(),
        retention: file.storage.retention.to_string(),
    }
}

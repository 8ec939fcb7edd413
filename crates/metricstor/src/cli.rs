//! The command line. Everything that is set rarely lives in the configuration file instead.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  metricstor serve                                  data in ./metricstor-data, mutual TLS on 127.0.0.1:9101
  metricstor serve --data-dir /var/lib/metricstor --listen 0.0.0.0:9101
  metricstor serve --config metricstor.yml
  METRICSTOR_STORAGE__RETENTION=100y metricstor serve
  metricstor check-config metricstor.yml";

/// A store for pushed metrics: mutual TLS, durable before acknowledged, PromQL as Prometheus
/// answers it.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take samples and answer queries
    #[command(after_help = EXAMPLES)]
    Serve(ServeArgs),
    /// Check a configuration file (and the METRICSTOR_… environment) without starting anything
    CheckConfig(CheckConfigArgs),
}

#[derive(Debug, Default, Args)]
pub struct ServeArgs {
    /// Read settings from this YAML file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep everything in this directory [default: ./metricstor-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Listen here, with mutual TLS [default: 127.0.0.1:9101]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Also listen here without TLS, for tools on this machine; whoever connects is the
    /// administrator, so only loopback addresses are taken
    #[arg(long, value_name = "ADDR")]
    pub loopback_http: Option<String>,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    /// The file to check
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print the settings in effect, defaults and environment included
    #[arg(long)]
    pub print: bool,
}

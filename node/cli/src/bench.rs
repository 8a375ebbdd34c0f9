//! `lanyard-node bench`: full nodes in one process, over loopback TCP, with real tickets and stores, in a realm without
//! a quota. At the end it prints one object of figures, so that runs can be compared.

mod measure;
mod mesh;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use measure::Usage;
use mesh::Mesh;

/// How long the mesh may take to become complete.
const CONNECT: Duration = Duration::from_secs(120);

/// Options of `lanyard-node bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// How many nodes
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..=256))]
    peers: u32,
    /// How many messages, in total
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    messages: u32,
    /// Bytes of each text
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(24..=4_096))]
    size: u32,
    /// Messages a second, in total [default: as fast as they are accepted]
    #[arg(long)]
    rate: Option<f64>,
    /// Which nodes send
    #[arg(long, value_enum, default_value = "one")]
    senders: Senders,
    /// Send all at once, without waiting for each to be stored
    #[arg(long)]
    burst: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Which nodes send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Senders {
    /// The first node.
    One,
    /// Every node in turn.
    All,
}

/// Runs one measurement, and prints it.
pub(crate) async fn run(options: &BenchOptions) -> ExitCode {
    let told = bench(options)
        .await
        .and_then(|figures| print(&figures, options.json).context("the figures cannot be written"));
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print(figures: &Value, json: bool) -> std::io::Result<()> {
    let lines = figures.as_object().into_iter().flatten();
    let text: String = if json {
        format!("{figures}\n")
    } else {
        lines.map(|(name, value)| format!("{name:>20}  {value}\n")).collect()
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        // A reader that has stopped needs nothing more.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

async fn bench(options: &BenchOptions) -> anyhow::Result<Value> {
    let started = tokio::time::Instant::now();
    let mesh = Mesh::start(options.peers, CONNECT).await?;
    let connected = started.elapsed();
    let before = Usage::now();
    let result = mesh.run(options).await?;
    let used = Usage::now().since(&before);
    let rss_mb = measure::rss_mb().map(|rss| rss / f64::from(options.peers));
    mesh.quit().await;

    let deliveries = result.latencies.len() as u64;
    let seconds = result.took.as_secs_f64();
    let per_thousand = |cpu: f64| cpu * 1_000.0 / real(deliveries.max(1));
    Ok(json!({
        "peers": options.peers,
        "messages": options.messages,
        "size": options.size,
        "senders": if options.senders == Senders::All { "all" } else { "one" },
        "seconds": round(seconds),
        "deliveries": deliveries,
        "deliveries_per_s": round(real(deliveries) / seconds.max(1e-9)),
        "latency_ms": {
            "p50": round(result.latency_ms(0.50)),
            "p99": round(result.latency_ms(0.99)),
            "max": round(result.latency_ms(1.0)),
        },
        "lost": result.lost,
        "repaired": result.repaired,
        "duplicates": result.duplicates,
        "cpu_s_per_1000": used.cpu_s.map(per_thousand).map(round),
        "bytes_per_delivery": used.loopback_bytes.map(|bytes| round(bytes / real(deliveries.max(1)))),
        "rss_mb_per_node": rss_mb.map(round),
        "connected_s": round(connected.as_secs_f64()),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn real(count: u64) -> f64 {
    count as f64
}

/// Rounds to four decimals, which is more than the precision of the measurement.
fn round(figure: f64) -> f64 {
    (figure * 10_000.0).round() / 10_000.0
}

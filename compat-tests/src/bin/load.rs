//! Puts a server under load and prints what came of it as one line of JSON. See `--help`.

use clap::Parser;
use compat_tests::load::template::{Numbers, Template};
use compat_tests::load::{Load, Outcome, run};
use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

const PERCENTILES: [f64; 4] = [50.0, 99.0, 99.9, 99.99];

/// Puts a server under load, and prints rates and latencies as JSON.
#[derive(Parser)]
struct Options {
    /// Where the server is
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Its port
    #[arg(short, long, default_value_t = 6379)]
    port: u16,
    /// Connections
    #[arg(short, long, default_value_t = 50)]
    clients: usize,
    /// Threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Requests of a batch
    #[arg(short = 'P', long, default_value_t = 1)]
    pipeline: usize,
    /// Seconds that count
    #[arg(short, long, default_value_t = 1.0)]
    seconds: f64,
    /// Seconds before these
    #[arg(long, default_value_t = 0.1)]
    warm_up: f64,
    /// Bytes that stand for __data__
    #[arg(short, long, default_value_t = 64)]
    data: usize,
    /// __rand_int__ is below this number
    #[arg(short, long, default_value_t = 0)]
    random: u32,
    /// It is drawn by Zipf's law with this exponent
    #[arg(long)]
    zipf: Option<f64>,
    /// Requests a second: each counts from when it is due. Without it, a batch follows another one's end
    #[arg(long)]
    rate: Option<f64>,
    /// A further command that is sent, with its weight in front: "9 GET key:__rand_int__"
    #[arg(long)]
    mix: Vec<String>,
    /// Further connections of each thread that subscribe to --channel and read
    #[arg(long, default_value_t = 0)]
    subscribers: usize,
    /// Their channel
    #[arg(long, default_value = "channel")]
    channel: String,
    /// Error replies do not fail
    #[arg(long)]
    errors: bool,
    /// The command, or several with a word ; between them, which count as one request
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let result = load_of(&options).and_then(|load| run(&load).map_err(|error| error.to_string()));
    let outcome = match result {
        Ok(outcome) if outcome.n_errors == 0 || options.errors => outcome,
        Ok(outcome) => return fail(&outcome.error.unwrap_or_default()),
        Err(error) => return fail(&error),
    };
    // Where the output is gone there is nobody to tell.
    let _ = writeln!(std::io::stdout(), "{}", json(&outcome));
    ExitCode::SUCCESS
}

fn fail(error: &str) -> ExitCode {
    // The same.
    let _ = writeln!(std::io::stderr(), "load: {error}");
    ExitCode::FAILURE
}

fn load_of(options: &Options) -> Result<Load, String> {
    let address: SocketAddr = (options.host.as_str(), options.port)
        .to_socket_addrs()
        .map_err(|error| error.to_string())?
        .next()
        .ok_or("the host has no address")?;
    let mut mix = Vec::new();
    if !options.command.is_empty() {
        mix.push((1, template(options.command.iter().map(String::as_str), options.data)));
    }
    for words in &options.mix {
        let (weight, words) = words.split_once(' ').ok_or("--mix takes a weight and a command")?;
        let weight = weight.parse().map_err(|_| "the weight is no number")?;
        mix.push((weight, template(words.split(' '), options.data)));
    }
    if mix.iter().map(|(weight, _)| *weight).sum::<u32>() == 0 {
        return Err("there is nothing to send".to_string());
    }
    let keys = match options.zipf {
        Some(exponent) => Numbers::zipf(options.random, exponent).ok_or("there is no such law")?,
        None => Numbers::Uniform(options.random.into()),
    };
    let seconds =
        |seconds: f64| Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string());
    Ok(Load {
        address,
        n_threads: options.threads,
        n_connections: options.clients.max(1),
        pipeline: options.pipeline.max(1),
        mix,
        keys,
        warm_up: seconds(options.warm_up)?,
        duration: seconds(options.seconds)?,
        rate: options.rate,
        n_subscribers: options.subscribers,
        channel: options.channel.clone(),
    })
}

fn template<'a>(words: impl Iterator<Item = &'a str>, n_bytes: usize) -> Template {
    let data = "x".repeat(n_bytes);
    let words: Vec<String> = words.map(|word| word.replace("__data__", &data)).collect();
    Template::new(&words)
}

fn json(outcome: &Outcome) -> String {
    let rate = outcome.n_requests as f64 / outcome.elapsed.as_secs_f64();
    let latency =
        |percentile| outcome.latencies_ns.value_at_quantile(percentile / 100.0) as f64 / 1e6;
    let latencies: Vec<_> =
        PERCENTILES.map(|percentile| format!("{:.4}", latency(percentile))).into();
    format!(
        "{{\"requests\": {}, \"rate\": {rate:.0}, \"latencies_ms\": [{}], \"latency_ms_max\": {:.4}, \
         \"request_bytes\": {}, \"reply_bytes\": {}}}",
        outcome.n_requests,
        latencies.join(", "),
        outcome.latencies_ns.max() as f64 / 1e6,
        outcome.request_bytes,
        outcome.reply_bytes,
    )
}

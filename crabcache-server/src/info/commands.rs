//! The sections with a line for each command or error: Commandstats, Errorstats, Latencystats.

use super::Fields;
use crate::config::special::Percentiles;

pub(super) fn commandstats(fields: &mut Fields) {
    let server = fields.server;
    for row in server.commands.rows() {
        let totals = server.stats.command(row.id);
        if totals.calls + totals.rejected_calls + totals.failed_calls == 0 {
            continue;
        }
        let us = totals.nanoseconds / 1000;
        let us_per_call = if totals.calls == 0 { 0.0 } else { us as f64 / totals.calls as f64 };
        let text = format!(
            "calls={},usec={us},usec_per_call={us_per_call:.2},rejected_calls={},failed_calls={}",
            totals.calls, totals.rejected_calls, totals.failed_calls
        );
        fields.add(&format!("cmdstat_{}", safe(&row.full_name)), text);
    }
}

pub(super) fn errorstats(fields: &mut Fields) {
    for (code, count) in fields.server.stats.errors() {
        fields.add(&format!("errorstat_{}", safe(&code)), format_args!("count={count}"));
    }
}

pub(super) fn latencystats(fields: &mut Fields) {
    let config = fields.config.clone();
    if !config.latency_tracking {
        return;
    }
    for row in fields.server.commands.rows() {
        let Some(latencies) = fields.server.stats.latencies(row.id) else { continue };
        let percentiles = config.latency_tracking_info_percentiles.iter().map(|percentile| {
            let us = latencies.percentile_ns(*percentile) as f64 / 1000.0;
            format!("p{}={us:.3}", Percentiles::format_one(*percentile))
        });
        let text = percentiles.collect::<Vec<_>>().join(",");
        fields.add(&format!("latency_percentiles_usec_{}", safe(&row.full_name)), text);
    }
}

/// A name without the characters that INFO's form gives a meaning.
fn safe(name: &str) -> String {
    name.replace(['#', ':', '\n', '\r'], "_")
}

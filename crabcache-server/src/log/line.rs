//! The form of a line.

use super::sink::SINK;
use super::{RAW, SIGNAL};
use crate::clock;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes events as lines of text, or as JSON objects if the configuration says so.
pub(super) struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if SINK.is_json.load(Ordering::Relaxed) {
            return format::json().with_timer(JsonTime).format_event(ctx, writer, event);
        }
        let message = Message::of(event);
        let pid = std::process::id();
        match event.metadata().target() {
            RAW => writer.write_str(&message),
            SIGNAL => {
                let seconds = clock::wall_us() / 1_000_000;
                writeln!(writer, "{pid}:signal-handler ({seconds}) {message}")
            }
            _ => {
                let role = if SINK.is_server.load(Ordering::Relaxed) { 'M' } else { 'C' };
                let sign = sign_of(*event.metadata().level());
                let time = local_time(clock::wall_us());
                writeln!(writer, "{pid}:{role} {time} {sign} {message}")
            }
        }
    }
}

fn sign_of(level: Level) -> char {
    match level {
        Level::TRACE => '.',
        Level::DEBUG => '-',
        Level::INFO => '*',
        Level::WARN | Level::ERROR => '#',
    }
}

/// `23 Nov 2026 14:22:37.529`, in the system's time zone.
fn local_time(unix_us: i64) -> String {
    static ZONE: OnceLock<TimeZone> = OnceLock::new();
    let zone = ZONE.get_or_init(TimeZone::system).clone();
    let time = Timestamp::from_microsecond(unix_us).unwrap_or_default().to_zoned_datetime(zone);
    time.strftime("%d %b %Y %H:%M:%S.%3f").to_string()
}

/// The time of JSON objects.
struct JsonTime;

impl FormatTime for JsonTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let time = Timestamp::from_microsecond(clock::wall_us()).unwrap_or_default();
        write!(writer, "{time}")
    }
}

/// The message of an event, with its fields if it has any.
#[derive(Default)]
pub(super) struct Message(String);

impl Message {
    pub(super) fn of(event: &Event<'_>) -> String {
        let mut message = Message::default();
        event.record(&mut message);
        message.0
    }
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        // Writing into a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_known_form() {
        let time = local_time(1_795_443_757_529_123);
        assert_eq!(time.len(), "23 Nov 2026 14:22:37.529".len(), "{time}");
        assert!(time.ends_with(":37.529") && time.contains(" Nov 2026 "), "{time}");
    }
}

//! Where lines go.

use super::RAW;
use super::line::Message;
use crate::config::{Config, LogFormat, SyslogFacility};
use nix::syslog::{Facility, LogFlags, Severity, openlog, syslog};
use parking_lot::RwLock;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// How lines are written. There is one log for the process.
pub(super) struct Settings {
    /// The log's file; standard output if there is none.
    file: RwLock<Option<PathBuf>>,
    to_syslog: AtomicBool,
    pub(super) is_json: AtomicBool,
    pub(super) is_server: AtomicBool,
    pub(super) hides_user_data: AtomicBool,
}

pub(super) static SINK: Settings = Settings {
    file: RwLock::new(None),
    to_syslog: AtomicBool::new(false),
    is_json: AtomicBool::new(false),
    is_server: AtomicBool::new(false),
    hides_user_data: AtomicBool::new(false),
};

impl Settings {
    pub(super) fn configure(&self, config: &Config) {
        let path = (!config.logfile.is_empty()).then(|| PathBuf::from(&config.logfile));
        *self.file.write() = path;
        self.is_json.store(config.log_format == LogFormat::Json, Ordering::Relaxed);
        if config.syslog_enabled && !self.to_syslog.load(Ordering::Relaxed) {
            // The system keeps the pointer: the name must stay for ever.
            let ident = CString::new(config.syslog_ident.as_str()).unwrap_or_default();
            let ident = Box::leak(ident.into_boxed_c_str());
            let flags = LogFlags::LOG_PID | LogFlags::LOG_NDELAY;
            let is_open = openlog(Some(ident), flags, facility_of(config.syslog_facility));
            self.to_syslog.store(is_open.is_ok(), Ordering::Relaxed);
        }
    }
}

fn facility_of(facility: SyslogFacility) -> Facility {
    match facility {
        SyslogFacility::User => Facility::LOG_USER,
        SyslogFacility::Local0 => Facility::LOG_LOCAL0,
        SyslogFacility::Local1 => Facility::LOG_LOCAL1,
        SyslogFacility::Local2 => Facility::LOG_LOCAL2,
        SyslogFacility::Local3 => Facility::LOG_LOCAL3,
        SyslogFacility::Local4 => Facility::LOG_LOCAL4,
        SyslogFacility::Local5 => Facility::LOG_LOCAL5,
        SyslogFacility::Local6 => Facility::LOG_LOCAL6,
        SyslogFacility::Local7 => Facility::LOG_LOCAL7,
    }
}

/// Writes one line. A line that cannot be written is lost: there is nobody to tell.
pub(super) struct Sink;

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &*SINK.file.read() {
            Some(path) => {
                File::options().append(true).create(true).open(path)?.write_all(line)?;
            }
            None => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(line)?;
                stdout.flush()?;
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends messages to the system's log.
pub(super) struct Syslog;

impl<S: Subscriber> Layer<S> for Syslog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !SINK.to_syslog.load(Ordering::Relaxed) || event.metadata().target() == RAW {
            return;
        }
        let severity = match *event.metadata().level() {
            Level::TRACE => Severity::LOG_DEBUG,
            Level::DEBUG => Severity::LOG_INFO,
            Level::INFO => Severity::LOG_NOTICE,
            Level::WARN | Level::ERROR => Severity::LOG_WARNING,
        };
        // A message with a NUL byte cannot be sent.
        let _ = syslog(severity, &Message::of(event));
    }
}

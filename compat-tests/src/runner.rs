//! Runs cases on the reference and on CrabCache, side by side, and compares replies and, if wanted,
//! the keyspace events of each command.

use crate::case::{Action, Case, CaseFile, Step, expand};
use crate::compare::agree;
use crate::frame::Frame;
use crate::server::{Server, StartError, Which};
use crate::skip::{SkipList, protocol_name};
use crate::wire::{Connection, REPLY_TIMEOUT, Received, reply_text, request, show};
use crabcache_resp::Protocol;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;
use std::io;
use std::time::{Duration, Instant};

/// Differences of one case that are reported; what follows them is mostly their consequence.
const DIFFERENCES_MAX: usize = 3;
/// Time for a command that is sent without waiting to reach the server.
const SENT_PAUSE: Duration = Duration::from_millis(50);
/// What is shown of a command.
const DESCRIPTION_LEN_MAX: usize = 500;
/// Time for the second server to send what the first has sent unasked.
const UNREAD_PAUSE: Duration = Duration::from_secs(1);

/// Both servers.
#[derive(Debug)]
pub struct Pair {
    sides: [Side; 2],
    compares_events: bool,
}

/// One server with what is kept for it.
#[derive(Debug)]
struct Side {
    server: Server,
    options: Vec<String>,
    control: Option<Connection>,
    /// Is sent all keyspace events, if they are compared.
    events: Option<Connection>,
}

/// The channel that ends the events of a command; it matches what the events' connection has
/// subscribed to.
const EVENTS_END: &str = "__key-end__:";

/// One published event.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    /// `__keyspace@0__` or `__keyevent@0__`.
    place: Vec<u8>,
    key: Vec<u8>,
    name: Vec<u8>,
}

impl Event {
    fn new(channel: &[u8], message: &[u8]) -> Event {
        let at = channel.iter().position(|byte| *byte == b':').unwrap_or(channel.len());
        let rest = channel.get(at + 1..).unwrap_or_default();
        let is_keyspace = channel.starts_with(b"__keyspace");
        let (key, name) = if is_keyspace { (rest, message) } else { (message, rest) };
        Event { place: channel[..at].to_vec(), key: key.to_vec(), name: name.to_vec() }
    }
}

fn show_events(events: &[Event]) -> String {
    let line = |event: &Event| {
        let place = event.place.escape_ascii();
        format!("{place} {} {}", event.name.escape_ascii(), event.key.escape_ascii())
    };
    events.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// What a case has opened on one server.
#[derive(Default)]
struct Session {
    connections: HashMap<usize, Connection>,
    variables: HashMap<String, Vec<u8>>,
    /// Events that tell of expired keys.
    expired: Vec<Event>,
}

impl Pair {
    /// Starts both, with options as on a command line.
    ///
    /// # Errors
    /// If one of them cannot be started.
    pub fn start(options: &[&str]) -> Result<Pair, StartError> {
        let side = |which| -> Result<Side, StartError> {
            let server = Server::start(which, options)?;
            let options = options.iter().map(ToString::to_string).collect();
            Ok(Side { server, options, control: None, events: None })
        };
        Ok(Pair {
            sides: [side(Which::Reference)?, side(Which::CrabCache)?],
            compares_events: false,
        })
    }

    /// As [`Pair::start`], but compares the keyspace events of each command too.
    ///
    /// # Errors
    /// If one of them cannot be started.
    pub fn start_with_events() -> Result<Pair, StartError> {
        let mut pair = Pair::start(&["--notify-keyspace-events", "AKEnocm"])?;
        pair.compares_events = true;
        Ok(pair)
    }

    /// The servers, the reference first.
    pub fn servers(&self) -> [&Server; 2] {
        [&self.sides[0].server, &self.sides[1].server]
    }

    /// Runs all cases of a file.
    ///
    /// # Errors
    /// What differs, and what no longer differs though the skip list has it; a text for people.
    pub fn run_file(
        &mut self,
        file: &CaseFile,
        protocol: Protocol,
        skips: &SkipList,
    ) -> Result<(), String> {
        let mut report = String::new();
        for case in &file.cases {
            let is_known = skips.contains(&file.name, &case.name, protocol);
            let found = self.run_case(case, protocol);
            match found {
                Ok(()) if is_known => {
                    let _ = writeln!(
                        report,
                        "{}, case \"{}\": passes now, remove it from the skip list\n",
                        file.name, case.name
                    );
                }
                Err(text) if !is_known => {
                    let _ = writeln!(
                        report,
                        "{}.case, case \"{}\", {}:\n{text}",
                        file.name,
                        case.name,
                        protocol_name(protocol)
                    );
                }
                _ => {}
            }
        }
        if report.is_empty() { Ok(()) } else { Err(report) }
    }

    /// Empties both servers.
    ///
    /// # Errors
    /// If one of them has to be replaced and cannot be.
    pub fn reset(&mut self) -> Result<(), StartError> {
        self.sides.iter_mut().try_for_each(Side::reset)
    }

    /// Runs one case.
    ///
    /// # Errors
    /// What differs; a text for people.
    pub fn run_case(&mut self, case: &Case, protocol: Protocol) -> Result<(), String> {
        self.reset().map_err(|error| format!("  {error}\n"))?;
        let mut sessions = [Session::default(), Session::default()];
        let mut report = String::new();
        let mut compares_events = self.compares_events;
        if compares_events && self.take_events().is_err() {
            // What the emptying of the servers brought is not the case's. A case may have closed the
            // connections.
            self.sides.iter_mut().for_each(|side| side.events = None);
            self.take_events().map_err(|error| format!("  {error}\n"))?;
        }
        let mut n_differences = 0;
        for step in &case.steps {
            if let Action::Only(only) = step.action {
                if only == protocol {
                    continue;
                }
                break;
            }
            compares_events &= step.action != Action::NoEvents;
            let found = self.run_step(step, &mut sessions, protocol, compares_events);
            if let Err(text) = found {
                report.push_str(&text);
                n_differences += 1;
            }
            if n_differences == DIFFERENCES_MAX {
                report.push_str("  (the rest of the case was not run)\n");
                return Err(report);
            }
        }
        report.push_str(&compare_unread(&mut sessions));
        if compares_events {
            report.push_str(&self.compare_expired(&mut sessions));
        }
        if report.is_empty() { Ok(()) } else { Err(report) }
    }

    fn run_step(
        &mut self,
        step: &Step,
        sessions: &mut [Session; 2],
        protocol: Protocol,
        compares_events: bool,
    ) -> Result<(), String> {
        match &step.action {
            Action::NoEvents => return Ok(()),
            Action::Sleep(time) => {
                std::thread::sleep(*time);
                return Ok(());
            }
            Action::Close => {
                for session in sessions {
                    session.connections.remove(&step.connection);
                }
                return Ok(());
            }
            _ => {}
        }
        let mut received = Vec::new();
        for (side, session) in self.sides.iter().zip(sessions.iter_mut()) {
            let failed = |error: io::Error| {
                format!("  line {}: {:?}: {error}\n", step.line, side.server.which)
            };
            session.send(step, &side.server, protocol).map_err(failed)?;
        }
        if step.expected.is_left {
            std::thread::sleep(SENT_PAUSE);
            return Ok(());
        }
        for session in sessions.iter_mut() {
            received.push(session.receive(step));
        }
        let [reference, ours] = &received[..] else { return Ok(()) };
        let differs = |what: &str, reference: &str, ours: &str| {
            let (line, connection) = (step.line, step.connection);
            let command = describe(&step.action);
            Err(format!(
                "  line {line}, connection {connection}: {command}{what}\n    \
                 reference {reference}\n    crabcache {ours}\n"
            ))
        };
        if !compares_events {
            return match agree(reference, ours, step.expected.strictness) {
                true => Ok(()),
                false => differs("", &reference.show(), &ours.show()),
            };
        }
        match self.take_events() {
            Err(error) => Err(format!("  line {}: {error}\n", step.line)),
            Ok([mut reference, mut ours]) => {
                // The cycle may find an expired key before a command does, and keys in any order.
                for (events, session) in [&mut reference, &mut ours].into_iter().zip(sessions) {
                    session.expired.extend(events.extract_if(.., |event| event.name == b"expired"));
                }
                let is_cycle = reference.iter().any(|event| event.name == b"hexpired");
                if step.expected.events_unordered || is_cycle {
                    reference.sort_by(|a, b| a.key.cmp(&b.key));
                    ours.sort_by(|a, b| a.key.cmp(&b.key));
                }
                match reference == ours {
                    true => Ok(()),
                    false => differs(" (events)", &show_events(&reference), &show_events(&ours)),
                }
            }
        }
    }

    /// At the end of a case the same keys must have expired; the cycle needs a while.
    fn compare_expired(&mut self, sessions: &mut [Session; 2]) -> String {
        let deadline = Instant::now() + UNREAD_PAUSE;
        loop {
            let [reference, ours] = sessions.each_mut().map(|session| {
                session.expired.sort();
                show_events(&session.expired)
            });
            if reference == ours {
                return String::new();
            }
            if Instant::now() > deadline {
                return format!(
                    "  expired keys\n    reference {reference}\n    crabcache {ours}\n"
                );
            }
            std::thread::sleep(SENT_PAUSE);
            let Ok(more) = self.take_events() else { continue };
            for (events, session) in more.into_iter().zip(sessions.iter_mut()) {
                let expired = events.into_iter().filter(|event| event.name == b"expired");
                session.expired.extend(expired);
            }
        }
    }

    /// The keyspace events on both sides since the last call.
    fn take_events(&mut self) -> io::Result<[Vec<Event>; 2]> {
        let [reference, ours] = &mut self.sides;
        Ok([reference.take_events()?, ours.take_events()?])
    }
}

impl Side {
    /// Empties the server. One that does not answer, or cannot, is replaced by a new one.
    fn reset(&mut self) -> Result<(), StartError> {
        if self.flush().is_ok() {
            return Ok(());
        }
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        self.server = Server::start(self.server.which, &options)?;
        (self.control, self.events) = (None, None);
        Ok(())
    }

    /// The keyspace events since the last call.
    fn take_events(&mut self) -> io::Result<Vec<Event>> {
        let mut events = match self.events.take() {
            Some(events) => events,
            None => {
                let mut events = self.server.connect(Protocol::Resp2)?;
                events.call(&["PSUBSCRIBE", "__key*__:*"])?;
                events
            }
        };
        let mut control = match self.control.take() {
            Some(control) => control,
            None => self.server.connect(Protocol::Resp2)?,
        };
        control.call(&["PUBLISH", EVENTS_END, ""])?;
        self.control = Some(control);
        let mut taken = Vec::new();
        loop {
            let received = events.receive(REPLY_TIMEOUT);
            let Received::Reply(bytes) = &received else {
                return Err(io::Error::other(format!("instead of an event: {}", received.show())));
            };
            let frame = Frame::parse(bytes).map_err(|_| io::ErrorKind::InvalidData)?;
            let [_, _, channel, message] = &frame.children[..] else {
                return Err(io::Error::other(format!("no event: {}", received.show())));
            };
            if channel.text() == EVENTS_END.as_bytes() {
                break;
            }
            let (channel, message) = (channel.text(), message.text());
            taken.push(Event::new(channel, message));
        }
        self.events = Some(events);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut control = match self.control.take() {
            Some(control) => control,
            None => self.server.connect(Protocol::Resp2)?,
        };
        let reply = control.call(&["FLUSHALL"])?;
        if reply != Received::Reply(b"+OK\r\n".to_vec()) {
            return Err(io::Error::other(format!("FLUSHALL was answered {}", reply.show())));
        }
        self.control = Some(control);
        Ok(())
    }
}

impl Session {
    fn send(&mut self, step: &Step, server: &Server, protocol: Protocol) -> io::Result<()> {
        let connection = match self.connections.entry(step.connection) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(server.connect(protocol)?),
        };
        let bytes = match &step.action {
            Action::Command(words) => {
                let words: Vec<Vec<u8>> =
                    words.iter().map(|word| expand(word, &self.variables)).collect();
                request(&words)
            }
            Action::Raw(bytes) => expand(bytes, &self.variables),
            _ => return Ok(()),
        };
        connection.send(&bytes)
    }

    fn receive(&mut self, step: &Step) -> Received {
        let received = match self.connections.get_mut(&step.connection) {
            Some(connection) => connection.receive(REPLY_TIMEOUT),
            None => Received::Nothing(Vec::new()),
        };
        if let Some(name) = &step.expected.kept_as {
            self.variables.insert(name.clone(), reply_text(&received).unwrap_or_default());
        }
        received
    }
}

/// At the end of a case nothing may have been sent that was not taken, unless by both.
fn compare_unread(sessions: &mut [Session; 2]) -> String {
    let [reference, ours] = sessions;
    let mut numbers: Vec<usize> = reference.connections.keys().copied().collect();
    numbers.sort_unstable();
    let mut report = String::new();
    for number in numbers {
        let (Some(left), Some(right)) =
            (reference.connections.get_mut(&number), ours.connections.get_mut(&number))
        else {
            continue;
        };
        let deadline = Instant::now() + UNREAD_PAUSE;
        while left.unread() != right.unread() {
            if Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            let _ = writeln!(
                report,
                "  at the end, connection {number} was also sent:\n    reference {}\n    crabcache {}",
                show(left.unread()),
                show(right.unread())
            );
            break;
        }
    }
    report
}

fn describe(action: &Action) -> String {
    let mut text = match action {
        Action::Command(words) => command_text(words),
        Action::Raw(bytes) => format!("%raw {}", quoted(bytes)),
        Action::Read => "%read".to_string(),
        other => format!("{other:?}"),
    };
    // What is quoted is ASCII.
    if text.is_char_boundary(DESCRIPTION_LEN_MAX) && text.len() > DESCRIPTION_LEN_MAX {
        text.truncate(DESCRIPTION_LEN_MAX);
        text.push_str("...");
    }
    text
}

/// A command as it stands in a case file.
pub fn command_text(words: &[Vec<u8>]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

fn quoted(word: &[u8]) -> String {
    let is_plain = !word.is_empty()
        && word.iter().all(|byte| byte.is_ascii_graphic() && !b"\"'\\".contains(byte));
    if is_plain {
        return String::from_utf8_lossy(word).into_owned();
    }
    crabcache_resp::words::quote(word)
}

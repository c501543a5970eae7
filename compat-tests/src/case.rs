//! Case files: commands whose replies must be the same on both servers.
//!
//! ```text
//! # A comment.
//! --- set then get
//! SET k "two words\r\n"
//! GET k
//! %unordered
//! KEYS *
//!
//! --- a blocked client is served
//! %send
//! BLPOP list 0
//! 2: RPUSH list a
//! %read
//! ```
//!
//! A line `--- name` begins a case: no data, fresh connections. Every other line that is not empty
//! and not `#...` is a command with the quoting of redis-cli, or a directive. `2:` in front of a line
//! names the connection; it is number 1 where nothing is said.
//!
//! | line | meaning |
//! |---|---|
//! | `COMMAND ...` | sent to both servers; the replies must be equal byte for byte |
//! | `%raw "bytes"` | sent as it is; the replies are compared |
//! | `%read` | the next reply or push of the connection is compared |
//! | `%close` | the connection is closed |
//! | `%sleep MS` | waits |
//! | `%resp2`, `%resp3` | the rest of the case only in this protocol |
//! | `%unordered` | next reply: elements in any order, at any depth |
//! | `%ignore` | next reply: must come, is not compared |
//! | `%type` | next reply: only its type is compared |
//! | `%approx N` | next reply: integers that are not negative may differ by N |
//! | `%unordered-events` | next command: its keyspace events may come in any order |
//! | `%no-events` | keyspace events of the rest of the case are not compared |
//! | `%send` | next command: its reply is not awaited (take it with `%read`) |
//! | `%let NAME` | next reply: its text is kept, `${NAME}` stands for it, each server's own |
//! | `%repeat N` | next command: sent N times, `${i}` stands for 0 to N-1 |
//!
//! In words, `${text*N}` stands for N times `text`.

use crate::compare::Strictness;
use crabcache_resp::Protocol;
use crabcache_resp::words::split_words;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A case file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseFile {
    /// Path under the folder of cases, without `.case`.
    pub name: String,
    /// In the order of the file.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What stands after `---`.
    pub name: String,
    /// In order.
    pub steps: Vec<Step>,
}

/// One line that does something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Line in the file, from 1.
    pub line: usize,
    /// Number of the connection.
    pub connection: usize,
    /// What is done.
    pub action: Action,
    /// What becomes of the reply.
    pub expected: Expected,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sends a command; see [`expand`] for what may stand in a word.
    Command(Vec<Vec<u8>>),
    /// Sends bytes.
    Raw(Vec<u8>),
    /// Sends nothing.
    Read,
    /// Closes the connection.
    Close,
    /// Waits.
    Sleep(Duration),
    /// Ends the case in other protocols.
    Only(Protocol),
    /// Ends the comparing of events.
    NoEvents,
}

/// What becomes of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    /// How it is compared.
    pub strictness: Strictness,
    /// Whether the keyspace events of the command may come in any order.
    pub events_unordered: bool,
    /// Whether it is left for a later `%read`.
    pub is_left: bool,
    /// The variable that keeps its text.
    pub kept_as: Option<String>,
}

/// A case file that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct BadCase {
    file: String,
    line: usize,
    message: String,
}

/// All case files under `folder`, by name.
///
/// # Errors
/// The first that cannot be read or understood.
pub fn load_all(folder: &Path) -> Result<Vec<CaseFile>, BadCase> {
    let mut paths = Vec::new();
    find(folder, &mut paths);
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let name = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
        let name = name.to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).map_err(|error| BadCase {
            file: name.clone(),
            line: 0,
            message: error.to_string(),
        })?;
        files.push(parse(&name, &text)?);
    }
    Ok(files)
}

fn find(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "case") {
            paths.push(path);
        }
    }
}

/// Understands the text of a case file.
///
/// # Errors
/// The first line that makes no sense.
pub fn parse(name: &str, text: &str) -> Result<CaseFile, BadCase> {
    let mut file = CaseFile { name: name.to_string(), cases: Vec::new() };
    let mut pending = Pending::default();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let bad = |message: &str| BadCase {
            file: name.to_string(),
            line: index + 1,
            message: message.into(),
        };
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(case_name) = line.strip_prefix("--- ") {
            if !pending.is_empty() {
                return Err(bad("the case before ends with a directive for nothing"));
            }
            let case_name = case_name.trim().to_string();
            if file.cases.iter().any(|case| case.name == case_name) {
                return Err(bad("there is a case of this name already"));
            }
            file.cases.push(Case { name: case_name, steps: Vec::new() });
            continue;
        }
        let case = file.cases.last_mut().ok_or_else(|| bad("no case has begun (--- name)"))?;
        let parsed = parse_line(line, &mut pending).map_err(|message| bad(&message))?;
        let Some((connection, action)) = parsed else { continue };
        let takes_reply = matches!(action, Action::Command(_) | Action::Raw(_) | Action::Read);
        if !takes_reply && !pending.is_empty() {
            return Err(bad("no reply follows for the directive before"));
        }
        let Pending { expected, n_times } = std::mem::take(&mut pending);
        for i in 0..n_times.unwrap_or(1) {
            let action = if n_times.is_some() { numbered(&action, i) } else { action.clone() };
            let step = Step { line: index + 1, connection, action, expected: expected.clone() };
            case.steps.push(step);
        }
    }
    if pending.is_empty() {
        return Ok(file);
    }
    let message = "the file ends with a directive for nothing".to_string();
    Err(BadCase { file: name.to_string(), line: text.lines().count(), message })
}

/// Directives that wait for their reply.
#[derive(Default, PartialEq, Eq)]
struct Pending {
    expected: Expected,
    n_times: Option<usize>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        *self == Pending::default()
    }
}

fn parse_line(line: &str, pending: &mut Pending) -> Result<Option<(usize, Action)>, String> {
    let (connection, line) = match line.split_once(": ") {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            (number.parse().map_err(|_| "no number of a connection")?, rest)
        }
        _ => (1, line),
    };
    let words = split_words(line.as_bytes()).ok_or("unbalanced quotes")?;
    if !line.starts_with('%') {
        return Ok(Some((connection, Action::Command(words))));
    }
    let directive = line.split_whitespace().next().unwrap_or_default();
    let argument = words.get(1).map(|word| String::from_utf8_lossy(word).into_owned());
    let number = || -> Result<usize, String> {
        let digits = argument.as_ref().ok_or_else(|| format!("{directive} needs a number"))?;
        digits.parse().map_err(|_| format!("{directive} needs a number"))
    };
    let action = match directive {
        "%raw" => Action::Raw(words.get(1).ok_or("%raw needs bytes")?.clone()),
        "%read" => Action::Read,
        "%close" => Action::Close,
        "%sleep" => Action::Sleep(Duration::from_millis(number()? as u64)),
        "%no-events" => Action::NoEvents,
        "%resp2" => Action::Only(Protocol::Resp2),
        "%resp3" => Action::Only(Protocol::Resp3),
        _ => {
            let expected = &mut pending.expected;
            match directive {
                "%unordered" => expected.strictness = Strictness::Unordered,
                "%unordered-events" => expected.events_unordered = true,
                "%ignore" => expected.strictness = Strictness::Ignored,
                "%type" => expected.strictness = Strictness::Kind,
                "%approx" => expected.strictness = Strictness::Approximate(number()? as i64),
                "%send" => expected.is_left = true,
                "%let" => expected.kept_as = Some(argument.ok_or("%let needs a name")?),
                "%repeat" => pending.n_times = Some(number()?),
                _ => return Err(format!("no directive {directive}")),
            }
            return Ok(None);
        }
    };
    Ok(Some((connection, action)))
}

fn numbered(action: &Action, i: usize) -> Action {
    let Action::Command(words) = action else { return action.clone() };
    let value = HashMap::from([("i".to_string(), i.to_string().into_bytes())]);
    Action::Command(words.iter().map(|word| expand(word, &value)).collect())
}

/// Replaces `${NAME}` by the variable's value and `${text*N}` by N times `text`; anything else is left
/// as it is.
pub fn expand(word: &[u8], variables: &HashMap<String, Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = word;
    while let Some(inner) = next_place(rest) {
        out.extend_from_slice(&rest[..inner.start - 2]);
        let text = String::from_utf8_lossy(&rest[inner.clone()]);
        let times = text.rsplit_once('*').and_then(|(text, n)| Some((text, n.parse().ok()?)));
        match (variables.get(&*text), times) {
            (Some(value), _) => out.extend_from_slice(value),
            (None, Some((text, n))) => out.extend_from_slice(text.repeat(n).as_bytes()),
            (None, None) => out.extend_from_slice(&rest[inner.start - 2..=inner.end]),
        }
        rest = &rest[inner.end + 1..];
    }
    out.extend_from_slice(rest);
    out
}

/// Where the text between `${` and `}` is.
fn next_place(word: &[u8]) -> Option<Range<usize>> {
    let start = word.windows(2).position(|pair| pair == b"${")? + 2;
    let len = word[start..].iter().position(|byte| *byte == b'}')?;
    Some(start..start + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Action {
        Action::Command(line.split(' ').map(|word| word.as_bytes().to_vec()).collect())
    }

    #[test]
    fn lines_become_steps() {
        let text = "# top\n--- one\nSET k v\n%unordered\n%let x\n2: KEYS *\n\n%sleep 5\n%resp3\n--- two\n%send\nBLPOP a 0\n%read\n%raw \"a\\r\\n\"\n2: %close\n";
        let file = parse("f", text).unwrap();
        assert_eq!(file.cases.len(), 2);
        let [set, keys, sleep, only] = &file.cases[0].steps[..] else { panic!() };
        assert_eq!((set.line, set.connection, &set.action), (3, 1, &words("SET k v")));
        assert_eq!(set.expected, Expected::default());
        assert_eq!((keys.line, keys.connection, &keys.action), (6, 2, &words("KEYS *")));
        assert_eq!(keys.expected.strictness, Strictness::Unordered);
        assert_eq!(keys.expected.kept_as.as_deref(), Some("x"));
        assert_eq!(sleep.action, Action::Sleep(Duration::from_millis(5)));
        assert_eq!(only.action, Action::Only(Protocol::Resp3));
        let [blpop, read, raw, close] = &file.cases[1].steps[..] else { panic!() };
        assert!(blpop.expected.is_left);
        assert_eq!(read.action, Action::Read);
        assert_eq!(raw.action, Action::Raw(b"a\r\n".to_vec()));
        assert_eq!((close.connection, &close.action), (2, &Action::Close));
    }

    #[test]
    fn repeated_commands_are_numbered() {
        let file = parse("f", "--- one\n%repeat 2\nSET k${i} v\n").unwrap();
        let actions: Vec<_> = file.cases[0].steps.iter().map(|step| &step.action).collect();
        assert_eq!(actions, [&words("SET k0 v"), &words("SET k1 v")]);
    }

    #[test]
    fn words_are_expanded() {
        let variables = HashMap::from([("id".to_string(), b"7".to_vec())]);
        assert_eq!(expand(b"a${id}b${xy*3}${no}${", &variables), b"a7bxyxyxy${no}${");
    }

    #[test]
    fn mistakes_are_told() {
        let message = |text: &str| parse("f", text).unwrap_err().to_string();
        assert_eq!(message("GET k"), "f:1: no case has begun (--- name)");
        assert_eq!(message("--- a\nGET \"k"), "f:2: unbalanced quotes");
        assert_eq!(message("--- a\n%nope"), "f:2: no directive %nope");
        assert_eq!(message("--- a\n%sleep x"), "f:2: %sleep needs a number");
        assert_eq!(
            message("--- a\n%type\n%sleep 1"),
            "f:3: no reply follows for the directive before"
        );
        assert_eq!(message("--- a\n--- a"), "f:2: there is a case of this name already");
        assert_eq!(message("--- a\n%type"), "f:2: the file ends with a directive for nothing");
    }
}

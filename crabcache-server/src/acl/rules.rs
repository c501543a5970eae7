//! The rules that ACL SETUSER, redis.conf and ACL files are made of.

use super::is_word;
use super::password::Password;
use super::patterns::{Access, KeyPattern};
use super::selector::Selector;
use super::user::Rules;
use crate::command::{Categories, CommandTable};
use crate::error::RuleError;
use crabcache_resp::words::split_words;

type Result = std::result::Result<(), RuleError>;

/// What the meaning of rules depends on.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The commands.
    pub commands: &'a CommandTable,
    /// Whether new users may use all channels (`acl-pubsub-default`).
    pub has_all_channels: bool,
}

/// Puts selectors together that are spread over several words: `(+get` `~a)`.
///
/// # Errors
/// The word with the parenthesis that stays open.
pub(super) fn join_selectors<W: AsRef<[u8]>>(
    words: impl IntoIterator<Item = W>,
) -> std::result::Result<Vec<Vec<u8>>, Vec<u8>> {
    let mut rules: Vec<Vec<u8>> = Vec::new();
    // The selector that is open, and the word it began with.
    let mut open: Option<(Vec<u8>, Vec<u8>)> = None;
    for word in words {
        let word = word.as_ref();
        match open.take() {
            None if word.starts_with(b"(") && !word.ends_with(b")") => {
                open = Some((word.to_vec(), word.to_vec()));
            }
            None => rules.push(word.to_vec()),
            Some((selector, first)) => {
                let selector = [&selector, &b" "[..], word].concat();
                if word.ends_with(b")") {
                    rules.push(selector);
                } else {
                    open = Some((selector, first));
                }
            }
        }
    }
    match open {
        Some((_, first)) => Err(first),
        None => Ok(rules),
    }
}

/// Checks a `user` line of redis.conf: name and rules. Unknown commands are told when the users are
/// made.
///
/// # Errors
/// The word that is wrong, and why.
pub fn check_declaration(
    known: Known<'_>,
    words: &[Vec<u8>],
) -> std::result::Result<(), (Vec<u8>, RuleError)> {
    let rules = join_selectors(words.iter().skip(1)).map_err(|word| (word, RuleError::Syntax))?;
    let mut scratch = Rules::new(known.has_all_channels);
    for rule in rules {
        match apply(&mut scratch, known, &rule) {
            Ok(()) | Err(RuleError::Unknown) => {}
            Err(why) => return Err((rule, why)),
        }
    }
    Ok(())
}

/// Applies one rule to a user. If it fails the user may be changed in part: apply it to a copy.
///
/// # Errors
/// Why the rule is none.
pub(super) fn apply(rules: &mut Rules, known: Known<'_>, rule: &[u8]) -> Result {
    let (sign, rest) = match rule.split_first() {
        Some((sign, rest)) => (*sign, rest),
        None => return Ok(()),
    };
    match sign {
        b'>' => add_password(rules, Password::of(rest)),
        b'#' => add_password(rules, Password::from_hex(rest).ok_or(RuleError::PasswordHash)?),
        b'<' => remove_password(rules, Password::of(rest))?,
        b'!' => {
            remove_password(rules, Password::from_hex(rest).ok_or(RuleError::PasswordHash)?)?;
        }
        b'(' if rule.ends_with(b")") => {
            let selector = read_selector(known, &rule[1..rule.len() - 1])?;
            rules.selectors.push(selector);
        }
        _ => return apply_word(rules, known, rule),
    }
    Ok(())
}

/// Applies a rule that is a word of the language, or one for the user's own selector.
fn apply_word(rules: &mut Rules, known: Known<'_>, rule: &[u8]) -> Result {
    match rule.to_ascii_lowercase().as_slice() {
        b"on" => rules.is_on = true,
        b"off" => rules.is_on = false,
        b"skip-sanitize-payload" => rules.skips_sanitizing = true,
        b"sanitize-payload" => rules.skips_sanitizing = false,
        b"nopass" => {
            rules.is_nopass = true;
            rules.passwords.clear();
        }
        b"resetpass" => {
            rules.is_nopass = false;
            rules.passwords.clear();
        }
        b"clearselectors" => rules.selectors.truncate(1),
        b"reset" => *rules = Rules::new(known.has_all_channels),
        _ => return apply_to_selector(rules.root(), known, rule),
    }
    Ok(())
}

fn add_password(rules: &mut Rules, password: Password) {
    if !rules.passwords.iter().any(|own| own.is(&password)) {
        rules.passwords.push(password);
    }
    rules.is_nopass = false;
}

fn remove_password(rules: &mut Rules, password: Password) -> Result {
    let place = rules.passwords.iter().position(|own| own.is(&password));
    rules.passwords.remove(place.ok_or(RuleError::NoSuchPassword)?);
    Ok(())
}

/// Reads what stands in parentheses.
fn read_selector(known: Known<'_>, rules: &[u8]) -> std::result::Result<Selector, RuleError> {
    let mut selector = Selector::new(known.has_all_channels);
    // Compat: where a quote stays open there are no rules.
    for rule in split_words(rules).unwrap_or_default() {
        apply_to_selector(&mut selector, known, &rule)?;
    }
    Ok(selector)
}

fn apply_to_selector(selector: &mut Selector, known: Known<'_>, rule: &[u8]) -> Result {
    match rule.to_ascii_lowercase().as_slice() {
        b"allkeys" | b"~*" => set_all_keys(selector, true),
        b"resetkeys" => set_all_keys(selector, false),
        b"allchannels" | b"&*" => set_all_channels(selector, true),
        b"resetchannels" => set_all_channels(selector, false),
        b"allcommands" | b"+@all" => selector.set_all_commands(true),
        b"nocommands" | b"-@all" => selector.set_all_commands(false),
        _ => match rule {
            [b'~' | b'%', ..] => return add_keys(selector, rule),
            [b'&', pattern @ ..] => return add_channels(selector, pattern),
            [b'+', b'@', name @ ..] => return set_category(selector, known, name, true),
            [b'-', b'@', name @ ..] => return set_category(selector, known, name, false),
            [b'+', name @ ..] if name.contains(&b'|') => {
                return allow_part(selector, known, name);
            }
            [b'+', name @ ..] => return set_command(selector, known, name, true),
            [b'-', name @ ..] => return set_command(selector, known, name, false),
            _ => return Err(RuleError::Syntax),
        },
    }
    Ok(())
}

fn set_all_keys(selector: &mut Selector, is_allowed: bool) {
    selector.has_all_keys = is_allowed;
    selector.keys.clear();
}

fn set_all_channels(selector: &mut Selector, is_allowed: bool) {
    selector.has_all_channels = is_allowed;
    selector.channels.clear();
}

/// `~pattern`, `%R~pattern`, `%W~pattern`, `%RW~pattern`
fn add_keys(selector: &mut Selector, rule: &[u8]) -> Result {
    if selector.has_all_keys {
        return Err(RuleError::KeysAfterAll);
    }
    let (access, glob) = match rule {
        [b'~', glob @ ..] => (Access::all(), glob),
        _ => read_access(&rule[1..])?,
    };
    if !is_word(glob) {
        return Err(RuleError::Syntax);
    }
    match selector.keys.iter_mut().find(|pattern| pattern.glob == glob) {
        Some(pattern) => pattern.access |= access,
        None => selector.keys.push(KeyPattern { access, glob: glob.to_vec() }),
    }
    Ok(())
}

/// Reads the letters before a `~`; gives what stands behind it too.
// Compat: without a `~` the letters are for the key that is the empty string.
fn read_access(letters: &[u8]) -> std::result::Result<(Access, &[u8]), RuleError> {
    let mut access = Access::empty();
    let mut rest = letters;
    while let [letter, behind @ ..] = rest {
        rest = behind;
        let right = match letter.to_ascii_uppercase() {
            b'R' => Access::READ,
            b'W' => Access::WRITE,
            b'~' => break,
            _ => return Err(RuleError::Syntax),
        };
        if access.contains(right) {
            return Err(RuleError::Syntax);
        }
        access |= right;
    }
    if access.is_empty() { Err(RuleError::Syntax) } else { Ok((access, rest)) }
}

/// `&pattern`
fn add_channels(selector: &mut Selector, pattern: &[u8]) -> Result {
    if selector.has_all_channels {
        return Err(RuleError::ChannelsAfterAll);
    }
    if !is_word(pattern) {
        return Err(RuleError::Syntax);
    }
    if !selector.channels.iter().any(|own| own == pattern) {
        selector.channels.push(pattern.to_vec());
    }
    Ok(())
}

/// `+@category`, `-@category`
fn set_category(
    selector: &mut Selector,
    known: Known<'_>,
    name: &[u8],
    is_allowed: bool,
) -> Result {
    let category = Categories::by_name(name).ok_or(RuleError::Unknown)?;
    selector.note_rule(is_allowed, &[b"@", name].concat());
    let rows = known.commands.rows();
    for row in rows.iter().filter(|row| row.categories.contains(category)) {
        selector.set_command(row, rows.len(), is_allowed);
    }
    Ok(())
}

/// `+command`, `-command`, `-command|subcommand`
fn set_command(selector: &mut Selector, known: Known<'_>, name: &[u8], is_allowed: bool) -> Result {
    match known.commands.original(name) {
        Some(row) => selector.set_command(row, known.commands.rows().len(), is_allowed),
        None if is_of_reference(name) => {}
        None => return Err(RuleError::Unknown),
    }
    selector.note_rule(is_allowed, name);
    Ok(())
}

/// Commands of the reference that are not here. Rules about them are kept and mean nothing, so that
/// users who are described for the reference can be loaded.
const OF_REFERENCE: &[&str] = &[
    "asking",
    "bgrewriteaof",
    "cluster",
    "failover",
    "migrate",
    "module",
    "psync",
    "readonly",
    "readwrite",
    "replconf",
    "replicaof",
    "restore-asking",
    "slaveof",
    "sync",
    "waitaof",
];

/// The same of subcommands.
const PARTS_OF_REFERENCE: &[(&str, &str)] = &[
    (
        "cluster",
        "addslots addslotsrange bumpepoch count-failure-reports countkeysinslot delslots \
         delslotsrange failover flushslots forget getkeysinslot help info keyslot links meet myid \
         myshardid nodes replicas replicate reset saveconfig set-config-epoch setslot shards slaves \
         slot-stats slots",
    ),
    ("module", "help list load loadex unload"),
];

/// Whether the reference has a command, or `container|subcommand`, of this name.
fn is_of_reference(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    match name.split(|byte| *byte == b'|').collect::<Vec<_>>()[..] {
        [name] => OF_REFERENCE.iter().any(|own| own.as_bytes() == name),
        [container, part] => PARTS_OF_REFERENCE.iter().any(|(own, parts)| {
            own.as_bytes() == container && parts.split(' ').any(|own| own.as_bytes() == part)
        }),
        _ => false,
    }
}

/// `+command|subcommand`, or `+command|word` with what its first argument must be.
fn allow_part(selector: &mut Selector, known: Known<'_>, rule: &[u8]) -> Result {
    let bar = rule.iter().rposition(|byte| *byte == b'|').ok_or(RuleError::Syntax)?;
    let (name, part) = (&rule[..bar], &rule[bar + 1..]);
    if known.commands.original(name).is_none() && is_of_reference(rule) {
        selector.note_rule(true, rule);
        return Ok(());
    }
    let row = known.commands.original(name).ok_or(RuleError::Unknown)?;
    if row.parent.is_some() {
        return Err(RuleError::FirstArgOfSubcommand);
    }
    // What is no word could not be written into a file and read again.
    if part.is_empty() || !is_word(part) {
        return Err(RuleError::Syntax);
    }
    if row.subcommands.is_empty() {
        tracing::warn!(
            "Deprecation warning: Allowing a first arg of an otherwise blocked command is a misuse \
             of ACL and may get disabled in the future (offender: +{})",
            String::from_utf8_lossy(rule)
        );
        selector.add_first_arg(row, part);
    } else {
        let row = known.commands.original(rule).ok_or(RuleError::Unknown)?;
        selector.set_command(row, known.commands.rows().len(), true);
    }
    selector.note_rule(true, rule);
    Ok(())
}

//! One user.

use super::password::Password;
use super::selector::Selector;
use super::users::DEFAULT_USER;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// All that rules say of a user.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whether one can authenticate as this user.
    pub is_on: bool,
    /// Any password will do.
    pub is_nopass: bool,
    /// RESTORE takes the user's payloads without a close look.
    pub skips_sanitizing: bool,
    /// Passwords that will do.
    pub(super) passwords: Vec<Password>,
    /// What the user may do: what one of them allows. The first is the user's own, the others stand
    /// in parentheses.
    pub(super) selectors: Vec<Selector>,
}

impl Rules {
    /// Those of a user that has just been created: nothing is allowed.
    pub fn new(has_all_channels: bool) -> Rules {
        Rules {
            is_on: false,
            is_nopass: false,
            skips_sanitizing: false,
            passwords: Vec::new(),
            selectors: vec![Selector::new(has_all_channels)],
        }
    }

    /// Those of the user `default` unless somebody says otherwise: everything is allowed.
    pub(super) fn of_default_user() -> Rules {
        let mut rules = Rules::new(true);
        (rules.is_on, rules.is_nopass) = (true, true);
        rules.root().has_all_keys = true;
        rules.root().set_all_commands(true);
        rules
    }

    /// The selector outside of parentheses.
    pub(super) fn root(&mut self) -> &mut Selector {
        &mut self.selectors[0]
    }

    /// The user's own selector, and those in parentheses.
    pub fn root_and_others(&self) -> (&Selector, &[Selector]) {
        (&self.selectors[0], &self.selectors[1..])
    }

    /// All selectors, the user's own first.
    pub fn selectors(&self) -> &[Selector] {
        &self.selectors
    }

    /// The patterns of channels, if not all are allowed that `old` allowed.
    pub(super) fn channels_left(&self, old: &Rules) -> Option<Vec<Vec<u8>>> {
        if self.selectors.iter().any(|selector| selector.has_all_channels) {
            return None;
        }
        let left: Vec<Vec<u8>> =
            self.selectors.iter().flat_map(|selector| selector.channels.iter().cloned()).collect();
        let is_left = |selector: &Selector| {
            !selector.has_all_channels && selector.channels.iter().all(|own| left.contains(own))
        };
        if old.selectors.iter().all(is_left) { None } else { Some(left) }
    }

    /// The digests of the passwords.
    pub fn passwords(&self) -> impl ExactSizeIterator<Item = String> {
        self.passwords.iter().map(|password| password.to_hex())
    }

    /// The words of ACL GETUSER's `flags`.
    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.is_on { "on" } else { "off" }];
        if self.is_nopass {
            flags.push("nopass");
        }
        let sanitizing =
            if self.skips_sanitizing { "skip-sanitize-payload" } else { "sanitize-payload" };
        flags.push(sanitizing);
        flags
    }

    /// Makes `password` the only one, or none necessary if it is empty (`requirepass`).
    pub(super) fn set_requirepass(&mut self, password: &[u8]) {
        self.is_nopass = password.is_empty();
        self.passwords = if self.is_nopass { vec![] } else { vec![Password::of(password)] };
    }

    fn accepts(&self, password: &[u8]) -> bool {
        if !self.is_on {
            return false;
        }
        let given = Password::of(password);
        self.is_nopass || self.passwords.iter().any(|own| own.is(&given))
    }

    fn is_unrestricted(&self) -> bool {
        self.selectors.iter().any(Selector::is_unrestricted)
    }

    /// The rules that make this user.
    pub(super) fn describe(&self) -> Vec<u8> {
        let mut out = self.flags().join(" ").into_bytes();
        for password in self.passwords() {
            out.extend_from_slice(format!(" #{password}").as_bytes());
        }
        for (index, selector) in self.selectors.iter().enumerate() {
            let rules = selector.describe();
            if index == 0 {
                out.push(b' ');
                out.extend_from_slice(&rules);
            } else {
                out.extend_from_slice(b" (");
                out.extend_from_slice(&rules);
                out.push(b')');
            }
        }
        out
    }
}

/// A user. Its rules are replaced whole.
#[derive(Debug)]
pub struct User {
    /// Its name.
    pub name: Box<[u8]>,
    rules: ArcSwap<Rules>,
    /// Facts about the rules that are asked for often.
    facts: AtomicU8,
}

const IS_RESTRICTED: u8 = 1;
const IS_NOPASS: u8 = 1 << 1;
const IS_ON: u8 = 1 << 2;

fn facts_of(rules: &Rules) -> u8 {
    let fact = |is_so: bool, bit: u8| if is_so { bit } else { 0 };
    fact(!rules.is_unrestricted(), IS_RESTRICTED)
        | fact(rules.is_nopass, IS_NOPASS)
        | fact(rules.is_on, IS_ON)
}

impl Default for User {
    /// The user `default`, who may do everything.
    fn default() -> Self {
        User::new(DEFAULT_USER.as_bytes(), Rules::of_default_user())
    }
}

impl User {
    /// A user with these rules.
    pub(super) fn new(name: &[u8], rules: Rules) -> User {
        let facts = AtomicU8::new(facts_of(&rules));
        User { name: name.into(), rules: ArcSwap::from_pointee(rules), facts }
    }

    /// Its name as text.
    pub fn shown_name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// What it may do.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Puts other rules in force. Nobody else does so at the same time.
    pub(super) fn set_rules(&self, rules: Rules) {
        let facts = facts_of(&rules);
        self.rules.store(Arc::new(rules));
        self.facts.store(facts, Ordering::Release);
    }

    /// Whether there is anything that the user may not do.
    #[inline]
    pub fn is_restricted(&self) -> bool {
        self.facts.load(Ordering::Acquire) & IS_RESTRICTED != 0
    }

    /// Whether any password will do.
    pub fn is_nopass(&self) -> bool {
        self.facts.load(Ordering::Acquire) & IS_NOPASS != 0
    }

    /// Whether clients are this user without authenticating, if it is `default`.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.facts.load(Ordering::Acquire) & (IS_NOPASS | IS_ON) == IS_NOPASS | IS_ON
    }

    /// Whether one can authenticate as this user with this password.
    pub(super) fn accepts(&self, password: &[u8]) -> bool {
        self.rules.load().accepts(password)
    }

    /// A line that declares the user: name and rules.
    pub fn describe(&self) -> Vec<u8> {
        [&self.name, &b" "[..], &self.rules.load().describe()].concat()
    }
}

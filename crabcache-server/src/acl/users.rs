//! All users by name.

use super::rules::{Known, apply, join_selectors};
use super::user::{Rules, User};
use super::{file, is_word};
use crate::command::CommandTable;
use crate::config::{AclPubsubDefault, Config};
use crate::error::{AclStartError, CommandError, RuleError};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the user that clients are before they authenticate.
pub const DEFAULT_USER: &str = "default";

/// Names and rules, in the order of the names.
pub(super) type Declared = BTreeMap<Box<[u8]>, Rules>;

/// See the module's text.
#[derive(Debug)]
pub struct Users {
    default: Arc<User>,
    /// All, with the default user.
    by_name: RwLock<BTreeMap<Box<[u8]>, Arc<User>>>,
    /// Held by whoever makes changed copies of rules, so that no change is lost.
    change: Mutex<()>,
}

impl Default for Users {
    /// The default user, who may do everything without a password.
    fn default() -> Self {
        let default = Arc::new(User::default());
        let by_name = BTreeMap::from([(default.name.clone(), default.clone())]);
        Users { default, by_name: RwLock::new(by_name), change: Mutex::default() }
    }
}

impl<'a> Known<'a> {
    /// What rules depend on with this configuration.
    pub fn new(config: &Config, commands: &'a CommandTable) -> Known<'a> {
        let has_all_channels = config.acl_pubsub_default == AclPubsubDefault::Allchannels;
        Known { commands, has_all_channels }
    }
}

impl Users {
    /// The users of a configuration, or of the file that it names.
    ///
    /// # Errors
    /// Why the server cannot start with them.
    pub fn new(config: &Config, commands: &CommandTable) -> Result<Users, AclStartError> {
        let users = Users::default();
        users.set_requirepass(&config.requirepass);
        if !config.aclfile.is_empty() && !config.users.is_empty() {
            return Err(AclStartError::FileAndUsers);
        }
        let known = Known::new(config, commands);
        for words in &config.users {
            users.declare(known, words)?;
        }
        if !config.aclfile.is_empty() {
            let declared = file::load(&config.aclfile, known).map_err(AclStartError::File)?;
            users.replace_all(declared);
        }
        Ok(users)
    }

    /// Carries out a `user` line of redis.conf: name and rules.
    fn declare(&self, known: Known<'_>, words: &[Vec<u8>]) -> Result<(), AclStartError> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let Some((name, words)) = words.split_first() else { return Ok(()) };
        if !is_word(name) {
            return Err(AclStartError::Name);
        }
        let fail = |rule: &[u8], why| AclStartError::Rule(text(rule), text(name), why);
        let mut rules = Rules::new(known.has_all_channels);
        for rule in join_selectors(words).map_err(|word| fail(&word, RuleError::Syntax))? {
            apply(&mut rules, known, &rule).map_err(|why| fail(&rule, why))?;
        }
        if !rules.is_on {
            tracing::info!(
                "The user '{}' is disabled (there is no 'on' modifier in the user description). \
                 Make sure this is not a configuration error.",
                text(name)
            );
        }
        self.put(name, rules);
        Ok(())
    }

    /// The user that clients are before they authenticate.
    #[inline]
    pub fn default_user(&self) -> &Arc<User> {
        &self.default
    }

    /// The user of this name.
    pub fn get(&self, name: &[u8]) -> Option<Arc<User>> {
        self.by_name.read().get(name).cloned()
    }

    /// All users in the order of their names.
    pub fn all(&self) -> Vec<Arc<User>> {
        self.by_name.read().values().cloned().collect()
    }

    /// Makes `password` the only one of the default user, or none necessary if it is empty.
    pub fn set_requirepass(&self, password: &[u8]) {
        let _change = self.change.lock();
        let mut rules = Rules::clone(&self.default.rules());
        rules.set_requirepass(password);
        self.default.set_rules(rules);
    }

    /// The user of this name, if `password` is right.
    ///
    /// # Errors
    /// [`CommandError::WrongPassword`], also where there is no such user.
    pub fn authenticate(&self, name: &[u8], password: &[u8]) -> Result<Arc<User>, CommandError> {
        let user = self.get(name).filter(|user| user.accepts(password));
        user.ok_or(CommandError::WrongPassword)
    }

    /// Applies rules to a user, who is made if need be: all of them or none. Gives the user and what
    /// its rules were.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub fn set<'w>(
        &self,
        known: Known<'_>,
        name: &[u8],
        words: impl Iterator<Item = &'w [u8]>,
    ) -> Result<(Arc<User>, Option<Arc<Rules>>), CommandError> {
        let text = |bytes: &[u8]| crate::error::shown(bytes);
        if !is_word(name) {
            return Err(CommandError::AclUserName);
        }
        let words =
            join_selectors(words).map_err(|word| CommandError::AclParenthesis(text(&word)))?;
        let _change = self.change.lock();
        let old = self.get(name).map(|user| user.rules());
        let mut rules = match &old {
            Some(old) => Rules::clone(old),
            None => Rules::new(known.has_all_channels),
        };
        for word in &words {
            apply(&mut rules, known, word).map_err(|why| CommandError::AclRule(text(word), why))?;
        }
        Ok((self.put(name, rules), old))
    }

    /// Gives a user these rules; makes it if need be.
    fn put(&self, name: &[u8], rules: Rules) -> Arc<User> {
        if let Some(user) = self.get(name) {
            user.set_rules(rules);
            return user;
        }
        let user = Arc::new(User::new(name, rules));
        self.by_name.write().insert(name.into(), user.clone());
        user
    }

    /// Removes a user, who may do nothing any more.
    pub fn remove(&self, name: &[u8]) -> Option<Arc<User>> {
        let _change = self.change.lock();
        let user = self.by_name.write().remove(name)?;
        user.set_rules(Rules::new(false));
        Some(user)
    }

    /// Makes the declared users the only ones. Gives those that are no more, and those that still
    /// are, with what their rules were.
    pub(super) fn replace_all(&self, mut declared: Declared) -> Replaced {
        declared.entry(self.default.name.clone()).or_insert_with(Rules::of_default_user);
        let _change = self.change.lock();
        let mut replaced = Replaced::default();
        for user in self.all() {
            if declared.contains_key(&user.name) {
                replaced.kept.push((user.clone(), user.rules()));
            } else {
                self.by_name.write().remove(&user.name);
                user.set_rules(Rules::new(false));
                replaced.removed.push(user);
            }
        }
        for (name, rules) in declared {
            self.put(&name, rules);
        }
        replaced
    }
}

/// What became of the users when others took their place.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    pub(super) removed: Vec<Arc<User>>,
    pub(super) kept: Vec<(Arc<User>, Arc<Rules>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_user_takes_any_password() {
        let users = Users::default();
        assert!(users.default_user().is_open() && !users.default_user().is_restricted());
        assert!(users.authenticate(b"default", b"anything").is_ok());
        assert!(users.authenticate(b"Default", b"").is_err());
    }

    #[test]
    fn requirepass_is_the_only_password() {
        let users = Users::default();
        users.set_requirepass(b"a\0b");
        assert!(!users.default_user().is_open());
        assert!(users.authenticate(b"default", b"a\0b").is_ok());
        for wrong in [&b""[..], b"a", b"a\0c", b"a\0b "] {
            assert_eq!(
                users.authenticate(b"default", wrong).err(),
                Some(CommandError::WrongPassword)
            );
        }
        users.set_requirepass(b"x");
        assert!(users.authenticate(b"default", b"a\0b").is_err());
        users.set_requirepass(b"");
        assert!(users.authenticate(b"default", b"y").is_ok());
    }
}

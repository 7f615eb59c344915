//! Rules decide: user name is a device or an account, the password is verified as argon2id says. Rules can be replaced
//! while clients are there.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use argon2::{Argon2, PasswordVerifier};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use telemetry::{Catalogue, DeviceId};
use tokio::sync::watch;
use tokio::time::Instant;

use super::rules::{Known, Rules, mark};
use super::slowdown::{SlowDown, Who};
use crate::acl::Permissions;
use crate::auth::{Authenticator, Credential, Ending, Identity, Login, Refusal, Review};
use crate::door::lanes::Lanes;
use crate::{BoxFuture, limits};

/// What becomes of a client that gives no user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// It is refused. What a configuration says unless it says something else.
    Refuse,
    /// It may subscribe to everything below `tw/` and publish nothing.
    SubscribeOnly,
    /// It may also publish, in the name of whatever device the topic names. For a bench on a desk.
    Publish,
}

/// Asks the rules. A password that was verified once is remembered as a keyed hash, so that a reconnect costs
/// microseconds; there is one entry at most for each name, and [`limits::VERIFIED_MAX`] in all.
pub struct RegistryAuthenticator {
    rules: RwLock<Arc<Rules>>,
    anonymous: Anonymous,
    /// Key of the hashes in `verified`: drawn at the start, never leaves the process.
    key: [u8; 32],
    verified: Mutex<FxHashMap<DeviceId, Verified>>,
    slow_down: Mutex<SlowDown>,
    turns: Arc<Lanes>,
    changes: watch::Sender<u64>,
}

#[derive(Clone, Copy)]
struct Verified {
    /// Keyed hash of name and password.
    digest: [u8; 32],
    /// Which stored hash it was verified against.
    credential: Credential,
}

impl RegistryAuthenticator {
    /// Lets in who is in `catalogue` with a password hash, and nameless clients as `anonymous` says. A hash that cannot
    /// be used lets nobody in, and is logged.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, anonymous: Anonymous) -> Self {
        let (rules, errors) = Rules::build(Rules::of(&catalogue));
        for error in errors {
            tracing::error!(%error, "rule left out");
        }
        Self::with_rules(rules, anonymous)
    }

    /// Lets in who stands in `rules`, and nameless clients as `anonymous` says.
    #[must_use]
    pub fn with_rules(rules: Rules, anonymous: Anonymous) -> Self {
        let mut key = [0; 32];
        let drawn = getrandom::fill(&mut key);
        if let Err(error) = drawn {
            // Without a secret key the cache would be guessable in a core dump, no more; keep going.
            tracing::warn!(%error, "no random key for the password cache");
        }
        Self {
            rules: RwLock::new(Arc::new(rules)),
            anonymous,
            key,
            verified: Mutex::default(),
            slow_down: Mutex::default(),
            turns: Lanes::new(limits::VERIFICATIONS_MAX),
            changes: watch::Sender::new(0),
        }
    }

    /// From now on `rules` count. Whoever is connected is reviewed at once; what was remembered of passwords that
    /// do not count any more is forgotten.
    pub fn apply(&self, rules: Rules) {
        let rules = Arc::new(rules);
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&rules);
        lock(&self.verified).retain(|name, verified| counts(rules.get(name.as_str()), verified.credential));
        self.changes.send_modify(|number| *number += 1);
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn nameless(&self) -> Option<Permissions> {
        match self.anonymous {
            Anonymous::Refuse => None,
            Anonymous::SubscribeOnly => Some(Permissions::watcher()),
            Anonymous::Publish => Some(Permissions::anybody()),
        }
    }

    async fn named(&self, user: &str, login: Login<'_>) -> Result<Identity, Refusal> {
        let began = Instant::now();
        let who = self.place(user, login.peer);
        if !lock(&self.slow_down).is_open(who, began) {
            return Err(Refusal::TooFast);
        }
        let rules = self.rules();
        let known = (user.len() <= limits::USER_BYTES_MAX)
            .then(|| rules.get(user))
            .flatten();
        let password = login.password.unwrap_or_default();
        let digest = self.digest(user, password);
        let credential = match known.and_then(|known| self.remembered(known, digest)) {
            Some(credential) => Some(credential),
            None => self.verify(&rules, known, password).await?,
        };
        let (Some(known), Some(credential)) = (known, credential) else {
            lock(&self.slow_down).failed(who, Instant::now());
            tokio::time::sleep_until(answer_at(began, Instant::now())).await;
            return Err(Refusal::BadCredentials);
        };
        lock(&self.slow_down).succeeded(who);
        let identity = identity(known, credential, login.client_id)?;
        self.remember(known.name.clone(), Verified { digest, credential });
        Ok(identity)
    }

    /// A client that a certificate names. A user name, if it gives one, must be the same; a password is not looked at.
    fn certified(&self, device: &str, login: Login<'_>) -> Result<Identity, Refusal> {
        if login.user.is_some_and(|user| user != device) {
            return Err(Refusal::BadCredentials);
        }
        let rules = self.rules();
        let known = rules.get(device).ok_or(Refusal::NotAuthorized)?;
        identity(known, Credential::Certificate, login.client_id)
    }

    /// Which stored hash the password belongs to. argon2 takes milliseconds and megabytes: on its own thread, and few at
    /// a time.
    async fn verify(
        &self,
        rules: &Rules,
        known: Option<&Known>,
        password: &[u8],
    ) -> Result<Option<Credential>, Refusal> {
        let hashes = rules.to_verify(known);
        let own = known.map_or(0, |known| known.hashes.len());
        let password: Box<[u8]> = password.into();
        let life_safety = known.is_some_and(Known::is_life_safety);
        let turn = self.turns.turn(life_safety).await.ok_or(Refusal::TooFast)?;
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let argon2 = Argon2::default();
            let mut found = None;
            // All of them, whichever is right: the time must not tell.
            for (place, hash) in hashes.iter().enumerate() {
                if argon2.verify_password(&password, &**hash).is_ok() && place < own {
                    found = Some(mark(hash));
                }
            }
            found
        })
        .await
        .map_err(|_| Refusal::Unavailable)
    }

    fn digest(&self, user: &str, password: &[u8]) -> [u8; 32] {
        let mut sha = Sha256::new();
        for part in [&self.key, user.as_bytes(), password] {
            sha.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            sha.update(part);
        }
        sha.finalize().into()
    }

    fn place(&self, user: &str, peer: SocketAddr) -> Who {
        let [a, b, c, d, e, f, g, h, ..] = self.digest(user, b"");
        Who::new(peer.ip(), u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }

    fn remembered(&self, known: &Known, digest: [u8; 32]) -> Option<Credential> {
        let verified = lock(&self.verified).get(known.name.as_str()).copied()?;
        (verified.digest == digest && has(known, verified.credential)).then_some(verified.credential)
    }

    fn remember(&self, name: DeviceId, verified: Verified) {
        let mut all = lock(&self.verified);
        if all.len() >= limits::VERIFIED_MAX
            && !all.contains_key(&name)
            && let Some(any) = all.keys().next().cloned()
        {
            all.remove(&any);
        }
        all.insert(name, verified);
    }
}

/// When a refusal is told: at the next full [`limits::REFUSAL_STEP`], so that the time does not tell how much work the
/// stored hash asked for, or whether there is one.
fn answer_at(began: Instant, now: Instant) -> Instant {
    let mut at = began + limits::REFUSAL_STEP;
    while at < now {
        at += limits::REFUSAL_STEP;
    }
    at
}

/// The identity behind a name whose credential was right.
fn identity(known: &Known, credential: Credential, client_id: &str) -> Result<Identity, Refusal> {
    if !known.enabled {
        return Err(Refusal::NotAuthorized);
    }
    if known.not_yet() {
        return Err(Refusal::Unavailable);
    }
    if !known.owns(client_id) {
        return Err(Refusal::ClientIdNotValid);
    }
    let (name, permissions) = (known.name.clone(), known.permissions());
    Ok(if known.is_account() {
        Identity::Account {
            name,
            permissions,
            credential,
        }
    } else {
        Identity::Device {
            id: name,
            permissions,
            credential,
        }
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a name still has a credential.
fn has(known: &Known, credential: Credential) -> bool {
    match credential {
        Credential::Certificate => true,
        Credential::Password(_) => known.hashes.iter().any(|hash| mark(hash) == credential),
    }
}

/// Whether a name may come in with a credential.
fn counts(known: Option<&Known>, credential: Credential) -> bool {
    known.is_some_and(|known| known.enabled && !known.not_yet() && has(known, credential))
}

impl Authenticator for RegistryAuthenticator {
    fn authenticate<'a>(&'a self, login: Login<'a>) -> BoxFuture<'a, Result<Identity, Refusal>> {
        Box::pin(async move {
            match (login.certificate, login.user) {
                (Some(device), _) => self.certified(device, login),
                (None, Some(user)) => self.named(user, login).await,
                (None, None) => match self.nameless() {
                    Some(permissions) => Ok(Identity::Anonymous { permissions }),
                    None => Err(Refusal::NotAuthorized),
                },
            }
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn review(&self, identity: &Identity) -> Review {
        let (name, credential) = match identity {
            Identity::Device { id, credential, .. } => (id, *credential),
            Identity::Account { name, credential, .. } => (name, *credential),
            Identity::Anonymous { .. } => {
                return self
                    .nameless()
                    .map_or(Review::Ends(Ending::NotAuthorized), Review::Stays);
            }
        };
        let rules = self.rules();
        match rules.get(name.as_str()) {
            Some(known) if counts(Some(known), credential) => Review::Stays(known.permissions()),
            Some(known) if known.enabled && !known.not_yet() && !known.hashes.is_empty() => {
                Review::Ends(Ending::Replaced)
            }
            Some(_) | None => Review::Ends(Ending::NotAuthorized),
        }
    }

    fn permissions_of(&self, key: &str) -> Option<Permissions> {
        let name = match key.split_once('/') {
            Some(("", _)) => return self.nameless(),
            Some((account, _)) => account,
            None => key,
        };
        let rules = self.rules();
        let known = rules.get(name).filter(|known| known.enabled)?;
        (known.is_account() == key.contains('/')).then(|| known.permissions())
    }

    fn is_life_safety(&self, name: &str) -> bool {
        self.rules().get(name).is_some_and(Known::is_life_safety)
    }
}

#[cfg(test)]
mod tests;

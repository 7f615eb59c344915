//! The registry decides: user name is device id, password as argon2 says.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::{Argon2, PasswordVerifier};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use telemetry::{Catalogue, DeviceId};
use tokio::sync::{Semaphore, watch};

use crate::acl::Permissions;
use crate::auth::{Authenticator, Credential, Ending, Identity, Login, Refusal, Review};
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

/// What is verified for a user that does not exist, when the registry holds no hash at all: the
/// parameters that OWASP recommends. Its password is not known to anybody.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5cy1zYWx0LWhlcmU$\
                      t7ETgBn7aDGuSTgd1WThTZ8g/u0HZbpQlYWAXGHXxIc";

/// Asks the registry. A password that was verified once is remembered as a keyed hash, so that a
/// reconnect costs microseconds; there is one entry at most for each registered device.
pub struct RegistryAuthenticator {
    catalogue: Arc<Catalogue>,
    anonymous: Anonymous,
    /// Which devices name a gateway, by gateway.
    behind: FxHashMap<DeviceId, Vec<DeviceId>>,
    /// What an unknown user's password is held against, so that it takes as long as a known one's.
    nobody: Arc<str>,
    /// Key of the hashes in `verified`: drawn at the start, never leaves the process.
    key: [u8; 32],
    verified: Mutex<FxHashMap<DeviceId, [u8; 32]>>,
    turns: Arc<Semaphore>,
    changes: watch::Sender<u64>,
}

impl RegistryAuthenticator {
    /// Lets in who is in `catalogue` with a password hash, and nameless clients as `anonymous` says.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, anonymous: Anonymous) -> Self {
        let mut behind: FxHashMap<DeviceId, Vec<DeviceId>> = FxHashMap::default();
        let mut nobody = None;
        for entry in catalogue.devices() {
            if let Some(gateway) = &entry.device.gateway {
                behind
                    .entry(gateway.clone())
                    .or_default()
                    .push(entry.device.id.clone());
            }
            nobody = nobody.or(entry.device.password_hash.as_deref());
        }
        let mut key = [0; 32];
        let drawn = getrandom::fill(&mut key);
        if let Err(error) = drawn {
            // Without a secret key the cache would be guessable in a core dump, no more; keep going.
            tracing::warn!(%error, "no random key for the password cache");
        }
        Self {
            nobody: nobody.unwrap_or(NOBODY).into(),
            catalogue,
            anonymous,
            behind,
            key,
            verified: Mutex::default(),
            turns: Arc::new(Semaphore::new(limits::VERIFICATIONS_MAX)),
            changes: watch::Sender::new(0),
        }
    }

    fn nameless(&self) -> Option<Permissions> {
        match self.anonymous {
            Anonymous::Refuse => None,
            Anonymous::SubscribeOnly => Some(Permissions::watcher()),
            Anonymous::Publish => Some(Permissions::anybody()),
        }
    }

    /// What a device may do that can log in.
    fn permissions(&self, id: &str) -> Option<Permissions> {
        let device = &self.catalogue.device(id)?.device;
        device.password_hash.as_ref()?;
        let speaks_for = self.behind.get(id).cloned().unwrap_or_default();
        Some(Permissions::device(device.id.clone(), speaks_for))
    }

    async fn named(&self, user: &str, login: Login<'_>) -> Result<Identity, Refusal> {
        let known = (user.len() <= limits::USER_BYTES_MAX)
            .then(|| self.catalogue.device(user))
            .flatten();
        let hash = known.and_then(|entry| entry.device.password_hash.as_deref());
        let password = login.password.unwrap_or_default();
        let digest = self.digest(user, hash.unwrap_or(&self.nobody), password);
        let device = known.filter(|_| hash.is_some()).map(|entry| &entry.device);
        if let Some(device) = device
            && self.remembered(&device.id) == Some(digest)
        {
            return self.identity(&device.id, login.client_id);
        }
        let right = self
            .verify(hash.unwrap_or(&self.nobody).into(), password.into())
            .await?;
        match device {
            Some(device) if right => {
                self.remember(&device.id, digest);
                self.identity(&device.id, login.client_id)
            }
            Some(_) | None => Err(Refusal::BadCredentials),
        }
    }

    fn identity(&self, id: &DeviceId, client_id: &str) -> Result<Identity, Refusal> {
        if !client_id.is_empty() && client_id != id.as_str() {
            return Err(Refusal::ClientIdNotValid);
        }
        let permissions = self.permissions(id.as_str()).ok_or(Refusal::NotAuthorized)?;
        Ok(Identity::Device {
            id: id.clone(),
            permissions,
            credential: Credential::Certificate,
        })
    }

    /// argon2 takes milliseconds and megabytes: on its own thread, and few at a time.
    async fn verify(&self, hash: Arc<str>, password: Box<[u8]>) -> Result<bool, Refusal> {
        let turn = Arc::clone(&self.turns)
            .acquire_owned()
            .await
            .map_err(|_| Refusal::Unavailable)?;
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            Argon2::default().verify_password(&password, &*hash).is_ok()
        })
        .await
        .map_err(|_| Refusal::Unavailable)
    }

    /// Covers the stored hash too, so that a rotated password is forgotten by itself.
    fn digest(&self, user: &str, hash: &str, password: &[u8]) -> [u8; 32] {
        let mut sha = Sha256::new();
        for part in [&self.key, user.as_bytes(), hash.as_bytes(), password] {
            sha.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            sha.update(part);
        }
        sha.finalize().into()
    }

    fn remembered(&self, id: &DeviceId) -> Option<[u8; 32]> {
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .copied()
    }

    fn remember(&self, id: &DeviceId, digest: [u8; 32]) {
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), digest);
    }
}

impl Authenticator for RegistryAuthenticator {
    fn authenticate<'a>(&'a self, login: Login<'a>) -> BoxFuture<'a, Result<Identity, Refusal>> {
        Box::pin(async move {
            match login.user {
                Some(user) => self.named(user, login).await,
                None => match self.nameless() {
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
        match identity {
            Identity::Device { id, .. } | Identity::Account { name: id, .. } => self.permissions(id.as_str()),
            Identity::Anonymous { .. } => self.nameless(),
        }
        .map_or(Review::Ends(Ending::NotAuthorized), Review::Stays)
    }

    fn permissions_of(&self, key: &str) -> Option<Permissions> {
        match key.split_once('/') {
            None => self.permissions(key),
            Some(("", _)) => self.nameless(),
            Some(_) => None,
        }
    }

    fn is_life_safety(&self, name: &str) -> bool {
        self.catalogue
            .device(name)
            .is_some_and(|entry| entry.profile.life_safety)
    }
}

#[cfg(test)]
mod tests;

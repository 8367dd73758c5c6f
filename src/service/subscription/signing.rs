//! The keys of webhooks and tokens (section 6.5): made once and kept, or set by a variable.

use crate::keys::NameHash;
use crate::keys::signing::{Retired, Signing, decode, encode};
use crate::limits::{
    PREFIX_ROTATIONS, PREFIXES_ROTATIONS, REPLAY_WINDOW_MS, SIGNING_KEYS, signing_seeds,
};
use crate::protocol::control::{KeyDocument, KeysDocument};
use crate::service::core::Core;
use crate::service::env::Env;
use crate::service::fault::Fault;
use crate::service::heads;
use crate::service::progress::SharedCreation;
use crate::service::records::update;
use crate::service::records::update::{Edit, Updated};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64_URL;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// The keys, ready to be used.
pub(super) struct Keyring {
    signing: SigningKey,
    /// The key in use is the first.
    public: Vec<VerifyingKey>,
    /// Secrets that seal tokens; the first seals new tokens.
    secrets: Vec<[u8; 32]>,
}

/// Result of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotated {
    /// A new key is in use.
    Done,
    /// A variable sets the keys.
    Given,
    /// This caller has all the old public keys it may have, and each must still be published.
    TooSoon {
        /// Milliseconds until one of them need not be published.
        wait_ms: u64,
    },
}

impl Keyring {
    fn of_seeds(seeds: &[[u8; 32]]) -> Option<Self> {
        let signing = SigningKey::from_bytes(seeds.first()?);
        let public = seeds
            .iter()
            .map(|seed| SigningKey::from_bytes(seed).verifying_key());
        let secret = |seed: &[u8; 32]| -> Option<[u8; 32]> {
            let mac = mac(seed)?.chain_update(b"callback and claim tokens");
            Some(mac.finalize().into_bytes().into())
        };
        Some(Self {
            public: public.collect(),
            // One for every seed: tokens outlive the change to a new seed.
            secrets: seeds.iter().map(secret).collect::<Option<_>>()?,
            signing,
        })
    }

    fn of_stored(stored: &Signing, now_ms: u64) -> Self {
        let signing = SigningKey::from_bytes(&stored.seed);
        let mut public = vec![signing.verifying_key()];
        let kept = |retired_ms: u64| retired_ms.saturating_add(REPLAY_WINDOW_MS) > now_ms;
        let retired = stored.retired.iter().filter(|one| kept(one.at_ms));
        public.extend(retired.filter_map(|one| VerifyingKey::from_bytes(&one.public).ok()));
        Self {
            signing,
            public,
            secrets: vec![stored.secret],
        }
    }

    /// The name of the key in use.
    pub(super) fn kid(&self) -> String {
        kid(&self.signing.verifying_key())
    }

    /// The value of `Webhook-Signature` for a body sent at `seconds`.
    pub(super) fn sign(&self, seconds: u64, body: &[u8]) -> String {
        let signed = [format!("{seconds}.").as_bytes(), body].concat();
        let signature = BASE64_URL.encode(self.signing.sign(&signed).to_bytes());
        format!("t={seconds},kid={},ed25519={signature}", self.kid())
    }

    /// The set of public keys.
    pub(super) fn document(&self) -> KeysDocument {
        let key = |key: &VerifyingKey| KeyDocument {
            kty: "OKP",
            crv: "Ed25519",
            kid: kid(key),
            usage: "sig",
            alg: "EdDSA",
            x: BASE64_URL.encode(key.as_bytes()),
        };
        KeysDocument {
            keys: self.public.iter().map(key).collect(),
        }
    }

    /// The code of a text; only this server can make it.
    pub(super) fn seal(&self, text: &[u8]) -> [u8; 32] {
        let mac = self.secrets.first().and_then(|secret| mac(secret));
        let sealed = mac.map(|mac| mac.chain_update(text).finalize());
        sealed.map_or([0; 32], |code| code.into_bytes().into())
    }

    /// Whether `code` is the code of `text`, or was with an earlier secret. All wrong codes take
    /// the same time.
    pub(super) fn is_seal(&self, text: &[u8], code: &[u8]) -> bool {
        self.secrets.iter().any(|secret| {
            let mac = mac(secret).map(|mac| mac.chain_update(text));
            mac.is_some_and(|mac| mac.verify_slice(code).is_ok())
        })
    }
}

fn mac(key: &[u8]) -> Option<Hmac<Sha256>> {
    Hmac::new_from_slice(key).ok()
}

/// A key's name: its thumbprint (RFC 7638, RFC 8037).
fn kid(key: &VerifyingKey) -> String {
    let x = BASE64_URL.encode(key.as_bytes());
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let print = BASE64_URL.encode(Sha256::digest(members.as_bytes()));
    format!("ds_{print}")
}

/// The keys, if they exist yet.
pub(super) fn keyring<E: Env>(core: &Core<E>) -> Result<Option<Keyring>, Fault> {
    if let Some(given) = given_keys(core) {
        return Ok(Some(given));
    }
    let slot = core.keys.signing();
    let Some((gate, envelope)) = heads::read(core, &slot)? else {
        return Ok(None);
    };
    let stored = decode(&envelope.body).map_err(|_| Fault::Corrupt {
        key: slot.key(gate),
    })?;
    let now_ms = core.env.now_ms();
    Ok(stored.map(|stored| Keyring::of_stored(&stored, now_ms)))
}

fn given_keys<E: Env>(core: &Core<E>) -> Option<Keyring> {
    let seeds = signing_seeds(core.config.webhook_signing_key.expose())?;
    Keyring::of_seeds(&seeds)
}

/// Ensures that keys exist.
pub(super) fn make_keys<E: Env>(
    core: &Core<E>,
    progress: &mut SharedCreation,
) -> Result<Updated<()>, Fault> {
    if keyring(core)?.is_some() {
        return Ok(Updated::Done(()));
    }
    let fresh = Signing {
        secret: seed(core),
        seed: seed(core),
        retired: Vec::new(),
    };
    let slot = core.keys.signing();
    update::update(core, &slot, progress, |body| {
        let known = decode(body).map_err(|_| Fault::Corrupt { key: slot.key(0) })?;
        Ok(match known {
            Some(_) => Edit::Keep(()),
            None => Edit::Write(encode(&fresh), ()),
        })
    })
}

/// Time that a caller must wait for another rotation, if any. Callers with a prefix have a share
/// each. So no caller takes the share of another prefix, nor that of callers without a prefix.
fn wait_ms(retired: &[Retired], prefix: Option<[u8; 4]>, now_ms: u64) -> Option<u64> {
    let own = retired.iter().filter(|one| one.prefix == prefix);
    let own: Vec<&Retired> = own.collect();
    let all: Vec<&Retired> = retired.iter().filter(|one| one.prefix.is_some()).collect();
    let shares = match prefix {
        None => [(own, SIGNING_KEYS.saturating_sub(1)), (Vec::new(), 1)],
        Some(_) => [(own, PREFIX_ROTATIONS), (all, PREFIXES_ROTATIONS)],
    };
    let waits = shares.iter().filter(|(used, share)| used.len() >= *share);
    let waits = waits.filter_map(|(used, _)| used.iter().map(|one| one.at_ms).min());
    let end_ms = waits.max()?.saturating_add(REPLAY_WINDOW_MS);
    Some(end_ms.saturating_sub(now_ms))
}

/// Changes to a new signing key, for a caller with rights for the names below `prefix`. Keeps the
/// last public key for a while.
pub(super) fn rotate_keys<E: Env>(
    core: &Core<E>,
    prefix: &str,
    progress: &mut SharedCreation,
) -> Result<Updated<Rotated>, Fault> {
    if given_keys(core).is_some() {
        return Ok(Updated::Done(Rotated::Given));
    }
    let fresh = Signing {
        secret: seed(core),
        seed: seed(core),
        retired: Vec::new(),
    };
    let slot = core.keys.signing();
    let now_ms = core.env.now_ms();
    let prefix = (!prefix.is_empty()).then(|| NameHash::of(prefix).mark());
    update::update(core, &slot, progress, |body| {
        let known = decode(body).map_err(|_| Fault::Corrupt { key: slot.key(0) })?;
        let Some(mut known) = known else {
            return Ok(Edit::Write(encode(&fresh), Rotated::Done));
        };
        if known.seed == fresh.seed {
            return Ok(Edit::Keep(Rotated::Done));
        }
        known
            .retired
            .retain(|one| one.at_ms.saturating_add(REPLAY_WINDOW_MS) > now_ms);
        if let Some(wait_ms) = wait_ms(&known.retired, prefix, now_ms) {
            return Ok(Edit::Keep(Rotated::TooSoon { wait_ms }));
        }
        let last = SigningKey::from_bytes(&known.seed).verifying_key();
        known.seed = fresh.seed;
        let public = last.to_bytes();
        let at_ms = now_ms;
        known.retired.insert(
            0,
            Retired {
                public,
                at_ms,
                prefix,
            },
        );
        Ok(Edit::Write(encode(&known), Rotated::Done))
    })
}

fn seed<E: Env>(core: &Core<E>) -> [u8; 32] {
    let mut seed = [0; 32];
    for part in seed.chunks_mut(8) {
        part.copy_from_slice(&core.env.random().to_be_bytes());
    }
    seed
}

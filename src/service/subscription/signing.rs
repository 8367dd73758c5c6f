//! The keys of webhooks and tokens: made once and kept, or given by a variable (section 6.5).

use crate::keys::signing::{Signing, decode, encode};
use crate::limits::{REPLAY_WINDOW_MS, SIGNING_KEYS, signing_seeds};
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
    /// The one in use first.
    public: Vec<VerifyingKey>,
    /// What tokens are sealed with; the first seals new ones.
    secrets: Vec<[u8; 32]>,
}

/// What a rotation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotated {
    /// There is a new key.
    Done,
    /// The keys are given by a variable.
    Given,
    /// As many old public keys as are kept are still to be published, so long.
    TooSoon {
        /// Milliseconds until one need not be.
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
            // Of every seed: tokens outlive the change to a new one.
            secrets: seeds.iter().map(secret).collect::<Option<_>>()?,
            signing,
        })
    }

    fn of_stored(stored: &Signing, now_ms: u64) -> Self {
        let signing = SigningKey::from_bytes(&stored.seed);
        let mut public = vec![signing.verifying_key()];
        let kept = |retired_ms: u64| retired_ms.saturating_add(REPLAY_WINDOW_MS) > now_ms;
        let retired = stored.retired.iter().filter(|(_, at)| kept(*at));
        public.extend(retired.filter_map(|(bytes, _)| VerifyingKey::from_bytes(bytes).ok()));
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

    /// The value of `Webhook-Signature` for a body sent at a time in seconds.
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

    /// The code that only this server can make of a text.
    pub(super) fn seal(&self, text: &[u8]) -> [u8; 32] {
        let mac = self.secrets.first().and_then(|secret| mac(secret));
        let sealed = mac.map(|mac| mac.chain_update(text).finalize());
        sealed.map_or([0; 32], |code| code.into_bytes().into())
    }

    /// Whether `code` is that code, or was; takes as long for each that is not.
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

/// The keys, if there are any yet.
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

/// Sees to it that there are keys.
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

/// Signs with a new key from now on, and keeps the last one's public key for a while.
pub(super) fn rotate_keys<E: Env>(
    core: &Core<E>,
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
    update::update(core, &slot, progress, |body| {
        let known = decode(body).map_err(|_| Fault::Corrupt { key: slot.key(0) })?;
        let Some(mut known) = known else {
            return Ok(Edit::Write(encode(&fresh), Rotated::Done));
        };
        if known.seed == fresh.seed {
            return Ok(Edit::Keep(Rotated::Done));
        }
        let end_ms = |at: u64| at.saturating_add(REPLAY_WINDOW_MS);
        known.retired.retain(|(_, at)| end_ms(*at) > now_ms);
        if let Some((_, oldest)) = known.retired.last()
            && known.retired.len() >= SIGNING_KEYS.saturating_sub(1)
        {
            let wait_ms = end_ms(*oldest).saturating_sub(now_ms);
            return Ok(Edit::Keep(Rotated::TooSoon { wait_ms }));
        }
        let last = SigningKey::from_bytes(&known.seed).verifying_key();
        known.seed = fresh.seed;
        known.retired.insert(0, (last.to_bytes(), now_ms));
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

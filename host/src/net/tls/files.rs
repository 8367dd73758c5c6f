//! The files of a certificate and its key.

use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Versions of HTTP that a client can choose, the preferred one first (RFC 7301).
const VERSIONS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Files in PEM format with a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by the certificates of the authorities between it and a root.
    pub certificate: PathBuf,
    /// The private key, without a password.
    pub key: PathBuf,
}

/// Error of files that can't be used. Its text is one line.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or is malformed.
    #[error("can't read the {what} for TLS from {}: {why}", .path.display())]
    File {
        /// Expected content.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// Certificate and key can't be used together.
    #[error(
        "the certificate in {} can't be used with the key in {}: {source}. Name the key that the \
         certificate was made for",
        .files.certificate.display(), .files.key.display()
    )]
    Pair {
        /// The files.
        files: TlsFiles,
        /// The reason.
        source: rustls::Error,
    },
}

/// State of both files, to notice a change. Links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamps([Option<Stamp>; 2]);

/// State of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds of the last change.
    changed: (i64, i64),
    /// Seconds and nanoseconds of the last write.
    written: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            written: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

impl TlsFiles {
    /// The current state of the files.
    pub(super) fn stamps(&self) -> Stamps {
        let stamp = |path: &Path| fs::metadata(path).ok().as_ref().map(Stamp::from);
        Stamps([stamp(&self.certificate), stamp(&self.key)])
    }

    /// Reads the files.
    pub(super) fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let failed = |what, path: &Path, why: String| TlsError::File {
            what,
            path: path.to_owned(),
            why,
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .and_then(|chain| match chain.is_empty() {
                true => Err(pem::Error::NoItemsFound),
                false => Ok(chain),
            })
            .map_err(|error| failed("certificate", &self.certificate, explain(error)))?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| failed("key", &self.key, explain(error)))?;
        let pair = |source| TlsError::Pair {
            files: self.clone(),
            source,
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(pair)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(pair)?;
        config.alpn_protocols = VERSIONS.map(<[u8]>::to_vec).into();
        // A client that comes back saves a handshake, and the server keeps nothing for it.
        config.ticketer = Ticketer::new().map_err(pair)?;
        Ok(Arc::new(config))
    }
}

fn explain(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "there is none in PEM format".to_owned(),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::tests::{Pair, pair};

    #[test]
    fn a_certificate_is_loaded_with_its_key_and_offers_both_versions_of_http() {
        let (_directory, files) = pair("a.example").write();
        let config = files.load().expect("a good pair");
        assert_eq!(config.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
    }

    #[test]
    fn files_that_are_unusable_are_refused_in_one_line_that_names_them() {
        let good = || pair("a.example");
        let with = |certificate: &str, key: &str| Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
        let broken = good().certificate.replace('M', "%");
        for (pair, named) in [
            (with("", &good().key), "tls.crt"),
            (with(&broken, &good().key), "tls.crt"),
            (with(&good().key, &good().key), "tls.crt"),
            (with(&good().certificate, ""), "tls.key"),
            (with(&good().certificate, &good().certificate), "tls.key"),
            (with(&good().certificate, &good().key), "tls.key"),
        ] {
            let (_directory, files) = pair.write();
            let error = files.load().expect_err("unusable").to_string();
            assert!(error.contains(named) && !error.contains('\n'), "{error}");
        }
        let nowhere = TlsFiles {
            certificate: "/nowhere/tls.crt".into(),
            key: "/nowhere/tls.key".into(),
        };
        let error = nowhere.load().expect_err("no file").to_string();
        assert!(error.contains("/nowhere/tls.crt"), "{error}");
    }

    #[test]
    fn a_file_that_is_replaced_or_written_has_another_stamp() {
        let (directory, files) = pair("a.example").write();
        let first = files.stamps();
        assert_eq!(files.stamps(), first);
        let new = directory.path().join("new");
        fs::copy(&files.key, &new).expect("copied");
        fs::rename(&new, &files.key).expect("replaced");
        let second = files.stamps();
        assert_ne!(second, first);
        fs::write(&files.certificate, "shorter").expect("written");
        assert_ne!(files.stamps(), second);
        fs::remove_file(&files.certificate).expect("removed");
        assert_eq!(files.stamps().0[0], None);
    }
}

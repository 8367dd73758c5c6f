//! Certificates for tests.

use super::TlsFiles;
use std::fs;
use tempfile::TempDir;

/// Texts of a certificate and its key.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// A new certificate for this name, signed by its own key.
pub(crate) fn pair(name: &str) -> Pair {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    Pair {
        certificate: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
    }
}

impl Pair {
    /// Writes the pair into a new directory.
    pub(crate) fn write(&self) -> (TempDir, TlsFiles) {
        let directory = tempfile::tempdir().expect("a directory");
        let files = TlsFiles {
            certificate: directory.path().join("tls.crt"),
            key: directory.path().join("tls.key"),
        };
        self.write_to(&files);
        (directory, files)
    }

    pub(crate) fn write_to(&self, files: &TlsFiles) {
        fs::write(&files.certificate, &self.certificate).expect("written");
        fs::write(&files.key, &self.key).expect("written");
    }
}

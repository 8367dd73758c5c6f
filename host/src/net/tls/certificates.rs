//! The certificate in use.

use super::files::{Stamps, TlsError, TlsFiles};
use rustls::ServerConfig;
use std::sync::{Arc, PoisonError, RwLock};

/// The certificate in use, with its settings. Connections keep the settings that they began with.
#[derive(Debug)]
pub(crate) struct Certificates {
    files: TlsFiles,
    current: RwLock<Arc<ServerConfig>>,
    /// State of the files before they were read.
    loaded: Stamps,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`TlsError`], with a one-line text.
    pub(crate) fn load(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let loaded = files.stamps();
        let current = RwLock::new(files.load()?);
        Ok(Arc::new(Self {
            files,
            current,
            loaded,
        }))
    }

    /// Settings for a new connection.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        let current = self.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again. New connections use the new certificate, and no session of a
    /// connection before goes on. With unusable files the current certificate stays.
    ///
    /// # Errors
    ///
    /// [`TlsError`], with a one-line text.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let config = self.files.load()?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = config;
        Ok(())
    }

    /// The files.
    pub(super) const fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// State of the files when they were read for the first time.
    pub(super) const fn loaded(&self) -> Stamps {
        self.loaded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::tests::pair;
    use std::fs;

    #[test]
    fn a_new_pair_replaces_the_current_one_and_a_broken_one_does_not() {
        let (_directory, files) = pair("a.example").write();
        let certificates = Certificates::load(files.clone()).expect("a good pair");
        let first = certificates.current();
        pair("b.example").write_to(&files);
        certificates.reload().expect("a good pair");
        let second = certificates.current();
        assert!(!Arc::ptr_eq(&first, &second));
        fs::write(&files.key, pair("b.example").key).expect("written");
        assert!(certificates.reload().is_err(), "the key of another pair");
        assert!(Arc::ptr_eq(&certificates.current(), &second));
    }
}

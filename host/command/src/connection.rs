//! Flags of every command that speaks to a server.

use crate::failure::Failure;
use durable_streams_edge_client::{Client, DEFAULT_URL, Options, Retry, Stream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The server, and the right to use it.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Connection {
    /// Base URL of the streams. The default is http://127.0.0.1:4437/v1/stream, or the server of
    /// the stream if its whole URL is given
    #[arg(long, env = "DS_URL", value_name = "URL", global = false)]
    url: Option<String>,
    /// Token, sent as Authorization: Bearer TOKEN, only to the server of --url, or without --url to
    /// the server of the stream's whole URL
    #[arg(long, env = "DS_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// File with further root certificates in PEM format, for a server whose certificate is not
    /// from a public authority
    #[arg(long, env = "DS_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Seconds from the first failure until the command gives up; 0 turns retries off
    #[arg(long, value_name = "SECS", default_value_t = 240)]
    give_up_after: u32,
}

impl Connection {
    /// A client of the server of `--url`, or of the stream's server.
    pub(crate) fn client(&self, name: Option<&str>) -> Result<Client, Failure> {
        let options = self.options()?;
        // The token belongs to the server of --url. Without one, it is for the stream's server.
        let of_stream = name.filter(|name| name.starts_with("http"));
        let of_stream = of_stream
            .filter(|name| name.contains("://"))
            .and_then(parent);
        let url = self.url.as_deref().or(of_stream).unwrap_or(DEFAULT_URL);
        Ok(Client::new(url, options)?)
    }

    /// A client of the admin listener at this URL, with the token and the retries of the other flags.
    pub(crate) fn operator(&self, admin: &str) -> Result<Client, Failure> {
        Ok(Client::new(&streams_of(admin), self.options()?)?)
    }

    fn options(&self) -> Result<Options, Failure> {
        let mut options = Options::default();
        options.token.clone_from(&self.token);
        options.retry = Retry {
            give_up_after: Duration::from_secs(u64::from(self.give_up_after)),
            ..Retry::default()
        };
        options.root_certificates = self.ca.as_deref().map(certificates).transpose()?;
        Ok(options)
    }

    /// The stream with this name or whole URL.
    pub(crate) fn stream(&self, name: &str) -> Result<Stream, Failure> {
        Ok(self.client(Some(name))?.stream(name)?)
    }
}

/// Longest wait for a response of an admin listener.
const ADMIN_PATIENCE: Duration = Duration::from_secs(5);

/// A client of an admin listener that repeats nothing: the view asks again anyway.
pub(crate) fn admin(
    url: &str,
    token: Option<String>,
    ca: Option<&Path>,
) -> Result<Client, Failure> {
    let mut options = Options::default();
    options.token = token;
    options.retry = Retry::never();
    (options.timeout, options.connect_timeout) = (ADMIN_PATIENCE, ADMIN_PATIENCE);
    options.root_certificates = ca.map(certificates).transpose()?;
    Ok(Client::new(&streams_of(url), options)?)
}

/// URL of the streams on the admin listener at this URL.
fn streams_of(admin: &str) -> String {
    format!("{}{ADMIN_STREAMS}", admin.trim_end_matches('/'))
}

/// Path of the streams on every admin listener.
const ADMIN_STREAMS: &str = "/v1/stream";

fn certificates(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure::file(path, error))
}

/// The URL up to the usual base, or up to the last slash.
fn parent(url: &str) -> Option<&str> {
    const BASE: &str = "/v1/stream";
    let url = url.split(['?', '#']).next()?;
    if let Some(at) = url.find(&format!("{BASE}/")) {
        return url.get(..at.checked_add(BASE.len())?);
    }
    url.rsplit_once('/').map(|(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_of_a_whole_url_is_the_part_before_its_name() {
        assert_eq!(parent("http://h/v1/stream/a/b"), Some("http://h/v1/stream"));
        assert_eq!(parent("http://h/s/a?x=1/2"), Some("http://h/s"));
    }
}

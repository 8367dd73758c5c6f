//! Lists and descriptions: the extension `listing`.

use crate::http::{Call, Http};
use crate::names::Base;
use crate::{Client, Error, KnownProducer, Offset, ProducerMark, Stream};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

const EXTENSION: &str = "listing";
const PURPOSE: &str = "lists streams";

/// Description of a server that knows extensions of the protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// Names of the extensions that the server has.
    #[serde(default)]
    pub extensions: Vec<String>,
    /// All other fields.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Server {
    /// Whether the server has this extension.
    #[must_use]
    pub fn has(&self, extension: &str) -> bool {
        self.extensions.iter().any(|name| name == extension)
    }
}

/// Options of a list.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Complete leading segments of the names.
    pub prefix: Option<String>,
    /// Only forks of the stream with this name.
    pub forked_from: Option<String>,
    /// Most entries of a page, 1 to 1,000. The server has a default.
    pub limit: Option<u32>,
}

/// One page of a list. It may be short or empty and still not be the last one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ListPage {
    /// The entries, in no specified order.
    pub streams: Vec<StreamEntry>,
    /// Where the next page begins. Absent on the last page.
    #[serde(default)]
    pub next: Option<String>,
}

/// Entry of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StreamEntry {
    /// Name of the stream.
    pub name: String,
    /// Content type. Absent if the record is damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Tail of the stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<Offset>,
    /// Bytes that the stream has of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether the stream is closed.
    #[serde(default)]
    pub closed: bool,
    /// Name of the fork's source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<String>,
    /// The producers that the server remembers. Absent in a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producers: Option<Vec<KnownProducer>>,
    /// The append that closed the stream, if a producer sent it. Absent in a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_by: Option<ProducerMark>,
    /// All other fields.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Walk through a list.
#[derive(Debug)]
pub struct List {
    client: Client,
    options: ListOptions,
    after: Option<String>,
    is_over: bool,
}

impl List {
    /// Asks for the next page; `None` after the last one. A stream that exists during the whole walk
    /// is listed exactly once.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the server has no lists, and the errors of every call.
    pub async fn next(&mut self) -> Option<Result<ListPage, Error>> {
        if self.is_over {
            return None;
        }
        let page = self.page().await;
        match &page {
            Ok(page) => {
                self.after.clone_from(&page.next);
                self.is_over = page.next.is_none();
            }
            Err(_) => self.is_over = true,
        }
        Some(page)
    }

    async fn page(&self) -> Result<ListPage, Error> {
        let shared = &self.client.shared;
        let mut url = shared.base.reserved(["streams"], "streams")?;
        let ListOptions {
            prefix,
            forked_from,
            limit,
        } = &self.options;
        let limit = limit.map(|limit| limit.to_string());
        let parameters = [
            ("after", &self.after),
            ("forked_from", forked_from),
            ("limit", &limit),
            ("prefix", prefix),
        ];
        for (name, value) in parameters {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let call = Call::new(Method::GET, url);
        let found: Option<ListPage> = get(&shared.http, &call).await?;
        let found = found.ok_or_else(|| unsupported(&shared.base))?;
        if found.next.is_some() && found.next == self.after {
            return Err(call.protocol_error("the next page begins where this one does"));
        }
        Ok(found)
    }
}

impl Client {
    /// Describes the server, or returns `None` if it has no description, as servers without
    /// extensions.
    ///
    /// # Errors
    ///
    /// The errors of every call.
    pub async fn server(&self) -> Result<Option<Server>, Error> {
        server(&self.shared.http, &self.shared.base).await
    }

    /// Lists the streams of the server, page by page.
    #[must_use]
    pub fn list(&self, options: ListOptions) -> List {
        List {
            client: self.clone(),
            options,
            after: None,
            is_over: false,
        }
    }
}

impl Stream {
    /// Describes the stream as a list does, with its producers.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the server has no descriptions, [`Error::NotFound`],
    /// [`Error::Gone`], and the errors of every call.
    pub async fn describe(&self) -> Result<StreamEntry, Error> {
        self.require(EXTENSION, PURPOSE).await?;
        let call = Call::new(Method::GET, self.description()?);
        let reply = self.http().request(&call).await?;
        serde_json::from_slice(&reply.body).map_err(|error| call.protocol_error(error.to_string()))
    }

    /// URL of the stream's description.
    pub(crate) fn description(&self) -> Result<Url, Error> {
        let base_path = self.base().reserved([], "")?;
        let path = base_path.path().trim_end_matches(RESERVED_END);
        let name = self.url().path().strip_prefix(path).unwrap_or_default();
        let mut url = self.base().reserved(["streams"], "streams")?;
        url.set_path(&format!("{}/{name}", url.path()));
        Ok(url)
    }
}

/// End of the path of the server's own calls.
const RESERVED_END: &str = "__ds";

/// Describes the server below `base`.
pub(crate) async fn server(http: &Http, base: &Base) -> Result<Option<Server>, Error> {
    let url = base.reserved([], "")?;
    get(http, &Call::new(Method::GET, url)).await
}

/// Reads a JSON document. Returns `None` if the server does not know the path, or answers it as it
/// answers the path of a stream.
async fn get<T: DeserializeOwned>(http: &Http, call: &Call) -> Result<Option<T>, Error> {
    match http.request(call).await {
        Ok(reply) => Ok(serde_json::from_slice(&reply.body).ok()),
        Err(Error::NotFound(_)) => Ok(None),
        Err(Error::Refused(refusal)) if matches!(refusal.status, 400 | 405 | 501) => Ok(None),
        Err(error) => Err(error),
    }
}

fn unsupported(base: &Base) -> Error {
    Error::Unsupported {
        server: base.as_str().to_owned(),
        extension: EXTENSION,
        purpose: PURPOSE,
    }
}

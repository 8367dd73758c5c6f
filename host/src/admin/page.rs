//! The page for people: static files of `host/page`, embedded in the program.
//!
//! The page has no build step. It names only its own origin, so it works without any other network.

use crate::answers::ResponseBody;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap,
    HeaderName, HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Response, StatusCode};
use std::hash::{DefaultHasher, Hasher};

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    path: &'static str,
    body: &'static [u8],
}

macro_rules! files {
    ($($path:literal,)*) => {
        &[
            File { path: "/", body: include_bytes!("../../page/index.html") },
            $(File { path: concat!("/page/", $path), body: include_bytes!(concat!("../../page/", $path)) },)*
        ]
    };
}

/// All files, by their paths on the listener.
const FILES: &[File] = files![
    "app.js",
    "icon.svg",
    "lib/about.js",
    "lib/announce.js",
    "lib/api.js",
    "lib/dialog.js",
    "lib/dom.js",
    "lib/format.js",
    "lib/problem.js",
    "lib/route.js",
    "lib/rows.js",
    "lib/session.js",
    "reader/backoff.js",
    "reader/bytes-view.js",
    "reader/feed.js",
    "reader/follow.js",
    "reader/json-view.js",
    "reader/lines.js",
    "reader/messages.js",
    "reader/pane.js",
    "reader/requests.js",
    "reader/split.js",
    "reader/sse.js",
    "reader/start.js",
    "reader/text-view.js",
    "reader/tree.js",
    "server/chart.js",
    "server/charts.js",
    "server/metrics.js",
    "server/server.js",
    "streams/actions.js",
    "streams/calls.js",
    "streams/columns.js",
    "streams/composer.js",
    "streams/facts.js",
    "streams/forks.js",
    "streams/list.js",
    "streams/stream.js",
    "streams/streams.js",
    "streams/table.js",
    "streams/walk.js",
    "style/base.css",
    "style/layout.css",
    "style/reader.css",
    "style/server.css",
    "style/streams.css",
    "subscriptions/list.js",
    "subscriptions/one.js",
];

/// Scripts and styles come from files of this origin only: content of a stream can't become a script,
/// and a token can't be sent elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The file at a path.
pub(super) fn find(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

impl File {
    fn media_type(&self) -> &'static str {
        match self.path.rsplit_once('.') {
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        }
    }

    /// Tag of the content. A newer program may have another page.
    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.body);
        format!("\"{:016x}\"", hasher.finish())
    }

    /// The response to a `GET` or `HEAD`.
    pub(super) fn answer(&self, method: &Method, headers: &HeaderMap) -> Response<ResponseBody> {
        let tag = self.tag();
        let mut known = headers.get_all(IF_NONE_MATCH).iter();
        let is_known = known.any(|value| value.to_str().is_ok_and(|text| text.contains(&tag)));
        let body = match is_known || *method == Method::HEAD {
            true => Bytes::new(),
            false => Bytes::from_static(self.body),
        };
        let mut response = Response::new(ResponseBody::whole(body));
        let fields = [
            (CACHE_CONTROL, "no-cache"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (CONTENT_TYPE, self.media_type()),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                "same-origin",
            ),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            ),
            (REFERRER_POLICY, "no-referrer"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let fields = fields.map(|(name, value)| (name, HeaderValue::from_static(value)));
        response.headers_mut().extend(fields);
        if let Ok(value) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(ETAG, value);
        }
        match is_known {
            true => *response.status_mut() = StatusCode::NOT_MODIFIED,
            false => {
                let length = HeaderValue::from(self.body.len());
                response.headers_mut().insert(CONTENT_LENGTH, length);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn paths(directory: &Path, below: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let entry = entry.expect("an entry");
            let name = format!("{below}/{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => paths(&entry.path(), &name, found),
                false => {
                    found.insert(name);
                }
            }
        }
    }

    #[test]
    fn every_file_of_the_page_is_embedded_once() {
        let mut found = BTreeSet::new();
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        paths(&directory, "/page", &mut found);
        assert!(found.remove("/page/index.html"));
        found.insert("/".to_owned());
        let embedded: BTreeSet<String> = FILES.iter().map(|file| file.path.to_owned()).collect();
        assert_eq!(embedded, found);
        assert_eq!(FILES.len(), found.len());
    }

    /// The policy forbids inline scripts and styles, and browsers only log what they left out.
    #[test]
    fn no_file_has_inline_code_or_parses_text_as_html() {
        for file in FILES {
            let text = std::str::from_utf8(file.body).expect("text");
            for planted in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "eval(",
                "style=\"",
                "<style",
            ] {
                assert!(!text.contains(planted), "{} has {planted}", file.path);
            }
        }
        let index = find("/").expect("the page");
        let index = std::str::from_utf8(index.body).expect("text");
        assert_eq!(index.matches("<script").count(), 1);
        assert!(index.contains("<script type=\"module\" src=\"page/app.js\"></script>"));
    }

    /// Without the links a browser learns the name of each module only from the one that imports it.
    #[test]
    fn every_module_is_loaded_at_once() {
        let index = find("/").expect("the page");
        let index = std::str::from_utf8(index.body).expect("text");
        let modules = FILES.iter().filter(|file| file.path.ends_with(".js"));
        for module in modules.filter(|file| file.path != "/page/app.js") {
            let path = module.path.trim_start_matches('/');
            let link = format!("<link rel=\"modulepreload\" href=\"{path}\" />");
            assert!(index.contains(&link), "missing: {link}");
        }
    }
}

//! The export archive: one NDJSON file a stream.
//!
//! ```text
//! {"stream":{"version":2,"name":"a/b","content_type":"text/plain","closed":true, ...}}
//! {"record":{"data":"aGVsbG8=","next":"0000000000000000_0000000000000005"}}
//! {"producers":{"producers":[{"id_hash":"2744...","epoch":0,"seq":3}],"sha256":"9f86..."}}
//! {"end":{"count":5,"sha256":"2cf24dba..."}}
//! ```
//!
//! A record has bytes of the stream in base64; of a JSON stream, a JSON array. `count` and `sha256`
//! are those of the content: bytes, or messages with a line feed after each. They do not depend on
//! the records. A file without its last line is incomplete. Producers are those that the server
//! remembered after the last record; version 1 had none.

pub(crate) mod content;
pub(crate) mod file;
pub(crate) mod format;
pub(crate) mod order;

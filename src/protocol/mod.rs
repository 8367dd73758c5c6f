//! HTTP wire: names, parsing and framing; no I/O.

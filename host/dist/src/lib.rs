//! Packages of the server: tarball, npm packages, wheel and OCI image, with licences, a bill of
//! materials and checksums.
//!
//! [`make`] writes all of them from one built program. Equal inputs give equal bytes: entries are sorted,
//! and every time is [`Order::epoch`].

mod archive;
mod crates;
mod error;
mod image;
mod libraries;
mod licences;
mod make;
mod npm;
mod product;
mod sbom;
mod stamp;
mod sums;
mod tarball;
mod wheel;

pub use error::Error;
pub use make::{Order, make};

//! The packages of a built program: installed into empty directories, and used.
//!
//! `cargo xtask test packages` names the program in `DS_TEST_PROGRAM`.

mod documents;
mod image;
mod made;
mod npm;
mod server;
mod tarball;
mod wheel;

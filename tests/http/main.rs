//! Tests of the host with the real component, over HTTP. Each file covers a section of the protocol,
//! and each test checks one claim.
//!
//! `cargo xtask test http` runs these tests several times: over different stores, through the exchange
//! and through wasi:http.

mod admin;
mod adopting;
mod alerts;
mod append;
mod auth;
mod backup;
mod backup_online;
mod behind_nginx;
mod big;
mod caching;
mod catch_up;
mod close;
mod commits;
mod common;
mod concurrency;
mod conditional;
mod config;
mod create;
mod damage;
mod delete;
mod errors;
mod fork;
mod hosts;
mod instances;
mod json;
mod leases;
mod listeners;
mod listing;
mod logs;
mod long_poll;
mod malformed;
mod metrics;
mod monitoring;
mod names;
mod process;
mod producer;
mod quota;
mod redis;
mod redis_outage;
mod redis_past;
mod sse;
mod sse_live;
mod stop;
mod subscriptions;
mod tail;
mod tls;
mod traces;
mod ttl;
mod upgrade;

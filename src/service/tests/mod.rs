//! The service over stores in memory: with several instances, quirks, faults and crashes.

mod driver;
mod schedule;
mod subscribing;
mod world;

mod access;
mod adopting;
mod answers;
mod closing;
mod commits;
mod conditional;
mod creation;
mod deletion;
mod describing;
mod expiry;
mod fork_crashes;
mod fork_model;
mod forks;
mod leases;
mod listing;
mod long_poll;
mod outcomes;
mod pages;
mod sse;
mod subscription_crashes;
mod subscription_doubts;
mod subscription_links;
mod subscription_steps;
mod subscriptions;
mod tail;
mod tail_model;
mod tenants;
mod timelines;
mod turmoil;
mod webhooks;
mod work;

//! One connection's share of the room for responses.

use super::pool::Pool;
use crate::limits::{UNSENT_OF_CONNECTION, UNSENT_OF_EXCHANGE};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::{Notify, Semaphore};

/// Accounting of the response bytes of one connection.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) process: Arc<Pool>,
    /// The room that all connections of its address share.
    pub(super) address: Arc<Pool>,
    pub(super) share: Arc<Pool>,
    /// Permit for the one exchange that may find out the size of its response without a share.
    pub(super) probe: Arc<Semaphore>,
    /// Bytes that a read reserves before it knows the size of its response.
    page: usize,
    /// Bytes reserved by the connection's responses.
    held: AtomicUsize,
    /// Bytes sent to the client.
    sent: AtomicU64,
    cut: Notify,
}

impl Line {
    pub(super) fn new(process: Arc<Pool>, address: Arc<Pool>, page: usize) -> Arc<Self> {
        Arc::new(Self {
            process,
            address,
            share: Pool::new(UNSENT_OF_CONNECTION),
            probe: Arc::new(Semaphore::new(1)),
            page: page.max(UNSENT_OF_EXCHANGE),
            held: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            cut: Notify::new(),
        })
    }

    /// Bytes that a read reserves before it knows the size of its response.
    pub(crate) const fn page(&self) -> usize {
        self.page
    }

    pub(super) fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes reserved by the connection's responses.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Counts bytes sent to the client.
    pub(crate) fn send(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Tells the connection to end now.
    pub(super) fn cut(&self) {
        self.cut.notify_one();
    }

    /// Returns when the connection has to end because other connections need its room.
    pub(crate) async fn is_cut(&self) {
        self.cut.notified().await;
    }
}

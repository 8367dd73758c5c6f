//! The sockets of a server, and the certificate that its connections use.

use crate::net::{self, Address, Certificates, Inherited, Listen, ListenError, Listener};
use std::sync::Arc;

/// Opens all sockets.
pub(super) async fn listen(
    addresses: Vec<Listen>,
    inherited: Vec<Inherited>,
    certificates: Option<&Arc<Certificates>>,
) -> Result<Vec<(Listener, Address)>, ListenError> {
    let mut listeners = Vec::new();
    for address in &addresses {
        listeners.push(Listener::bind(address, certificates).await?);
    }
    for socket in inherited {
        listeners.push(Listener::inherit(socket, certificates)?);
    }
    let listening = listeners.into_iter().map(|listener| {
        let address = listener.address()?;
        Ok((listener, address))
    });
    listening.collect()
}

/// Follows changes of the certificate. The future never ends. SIGHUP is handled once this function
/// returns.
pub(super) fn follow(certificates: Option<Arc<Certificates>>) -> impl Future<Output = ()> {
    let follow = certificates.map(net::follow);
    async move {
        match follow {
            Some(follow) => follow.await,
            None => std::future::pending().await,
        }
    }
}

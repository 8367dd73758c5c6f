//! Unix sockets, and their files.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};
use tokio::net::{UnixListener, UnixStream};

/// Permissions of the file: the owner and the group may connect.
const MODE: u32 = 0o660;
/// Added to the path while the socket gets its permissions.
const UNFINISHED: &str = ".new";

/// A listening Unix socket.
#[derive(Debug)]
pub(super) struct UnixSocket {
    listener: UnixListener,
    /// The file, if it is this server's.
    _file: Option<SocketFile>,
    path: Option<PathBuf>,
}

/// The file of a socket. Dropping this removes the file, unless another socket has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            id: id(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if id(&self.path).is_ok_and(|id| id == self.id) {
            // If the file stays, the next start replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn id(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl UnixSocket {
    /// Opens a socket at a path. The file of a server that ended without removing it is replaced.
    ///
    /// # Errors
    ///
    /// The path is in use by a server or by another kind of file, or the directory can't be written.
    pub(super) async fn bind(path: &Path) -> io::Result<Self> {
        refuse_used(path).await?;
        // No client can connect before the permissions are set, as it does not know this path.
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&unfinished)?;
        let file = SocketFile::at(&unfinished)?;
        fs::set_permissions(&unfinished, Permissions::from_mode(MODE))?;
        fs::rename(&unfinished, path)?;
        let file = SocketFile {
            id: file.id,
            path: path.to_owned(),
        };
        Ok(Self {
            listener,
            _file: Some(file),
            path: Some(path.to_owned()),
        })
    }

    /// Takes a socket that was opened by the supervisor. Its file stays.
    pub(super) fn inherit(listener: StdUnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let path = listener.local_addr()?.as_pathname().map(Path::to_owned);
        Ok(Self {
            listener: UnixListener::from_std(listener)?,
            _file: None,
            path,
        })
    }

    /// Path of the socket; none if it has no name in the file system.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.path.clone()
    }

    pub(super) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
        let accepted = self.listener.poll_accept(context);
        accepted.map_ok(|(stream, _)| stream)
    }
}

/// Fails unless the path is free or has the socket of a server that ended.
async fn refuse_used(path: &Path) -> io::Result<()> {
    let is_socket = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type().is_socket(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !is_socket {
        let why = "a file that is not a socket is there; remove it, or name another path";
        return Err(io::Error::new(ErrorKind::AlreadyExists, why));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // With a full backlog the connection fails in another way.
        _ => {
            let why = "another process listens there; stop it, or name another path";
            Err(io::Error::new(ErrorKind::AddrInUse, why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ds.sock");
        (directory, path)
    }

    #[tokio::test]
    async fn owner_and_group_may_connect_and_nothing_else_is_left_in_the_directory() {
        let (directory, path) = directory();
        let socket = UnixSocket::bind(&path).await.expect("a free path");
        let mode = fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        let files = fs::read_dir(directory.path()).expect("the directory");
        assert_eq!(files.count(), 1);
        let (client, server) = tokio::join!(
            UnixStream::connect(&path),
            poll_fn(|context| socket.poll_accept(context)),
        );
        assert!(client.is_ok() && server.is_ok());
    }

    #[tokio::test]
    async fn the_file_is_removed_with_the_socket_and_that_of_a_later_server_is_not() {
        let (_directory, path) = directory();
        drop(UnixSocket::bind(&path).await.expect("a free path"));
        assert!(!path.exists());
        let first = UnixSocket::bind(&path).await.expect("a free path");
        fs::remove_file(&path).expect("the file");
        let _second = UnixSocket::bind(&path).await.expect("a free path");
        drop(first);
        assert!(UnixStream::connect(&path).await.is_ok());
    }

    #[tokio::test]
    async fn the_file_of_a_dead_server_is_replaced_and_that_of_a_live_one_is_not() {
        let (_directory, path) = directory();
        // The standard library leaves the file.
        drop(StdUnixListener::bind(&path).expect("a free path"));
        let _live = UnixSocket::bind(&path).await.expect("nothing listens");
        let error = UnixSocket::bind(&path).await.expect_err("it is in use");
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).await.is_ok(), "it still listens");
    }

    #[tokio::test]
    async fn a_file_that_is_not_a_socket_is_never_replaced() {
        let (_directory, path) = directory();
        fs::write(&path, "mine").expect("written");
        let error = UnixSocket::bind(&path).await.expect_err("it is a file");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).expect("the file"), b"mine");
    }
}

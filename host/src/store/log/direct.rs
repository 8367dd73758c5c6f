//! Reading a file past the memory of the system: from the disk, and without pushing anything out.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Offsets, lengths and places in memory of direct reads are multiples of this.
const ALIGN: usize = 4096;
/// Bytes read at once where reads go forward.
const WINDOW: usize = 1 << 20;

/// An open file that is read directly.
#[derive(Debug)]
pub(super) struct Direct {
    pub(super) file: File,
    window: Mutex<Window>,
}

impl Direct {
    /// Opens a file. None where its file system has no direct reads.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let flags = rustix::fs::OFlags::DIRECT.bits();
        let opened = File::options()
            .read(true)
            .custom_flags(flags.cast_signed())
            .open(path)
            .and_then(|file| {
                // Some file systems say so only now.
                Window::read(&file, 0, 1)?;
                Ok(file)
            });
        match opened {
            Ok(file) => Ok(Some(Self {
                file,
                window: Mutex::default(),
            })),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fills the buffer.
    pub(super) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = window.bytes(offset, buffer.len()) {
            buffer.copy_from_slice(held);
            return Ok(());
        }
        let goes_forward = offset >= window.start;
        let most = match goes_forward {
            true => buffer.len().max(WINDOW),
            false => buffer.len(),
        };
        let read = Window::read(&self.file, offset, most)?;
        let held = read.bytes(offset, buffer.len());
        buffer.copy_from_slice(held.ok_or(io::ErrorKind::UnexpectedEof)?);
        if goes_forward {
            *window = read;
        }
        Ok(())
    }
}

/// Some bytes of a file.
#[derive(Debug, Default)]
struct Window {
    /// Where in the file they begin.
    start: u64,
    /// They are in here, and begin at a multiple of `ALIGN` in memory.
    buffer: Vec<u8>,
    begin: usize,
    length: usize,
}

impl Window {
    fn read(file: &File, offset: u64, length: usize) -> io::Result<Self> {
        let before = (offset % ALIGN as u64) as usize;
        let size = before.saturating_add(length).next_multiple_of(ALIGN);
        let mut window = Self {
            start: offset.saturating_sub(before as u64),
            buffer: vec![0; size.saturating_add(ALIGN)],
            begin: 0,
            length: 0,
        };
        window.begin = window.buffer.as_ptr().align_offset(ALIGN).min(ALIGN);
        while window.length < size {
            let from = window.begin.saturating_add(window.length);
            let to = window.begin.saturating_add(size);
            let place = window.buffer.get_mut(from..to).unwrap_or_default();
            let at = window.start.saturating_add(window.length as u64);
            match file.read_at(place, at) {
                Ok(read) => {
                    window.length = window.length.saturating_add(read);
                    // Only the end of the file is no multiple.
                    if read == 0 || !read.is_multiple_of(ALIGN) {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(window)
    }

    fn bytes(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let before = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let end = before.checked_add(length)?;
        if end > self.length {
            return None;
        }
        let held = self.buffer.get(self.begin..)?;
        held.get(before..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_stretch_is_read_as_it_is_in_the_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let bytes: Vec<u8> = (0..2_500_000_u32)
            .map(|number| (number % 251) as u8)
            .collect();
        std::fs::write(&path, &bytes).expect("it writes");
        let Some(file) = Direct::open(&path).expect("it opens") else {
            // Nothing to claim on such a file system.
            return;
        };
        let places = [0, 1, 4095, 4096, 700_000, 1_048_577, 600_000, 2_400_000];
        for (offset, length) in places
            .into_iter()
            .zip([1, 9000, 2, 4096, 1_500_000, 3, 7, 100_000])
        {
            let mut read = vec![0; length];
            file.read_at(&mut read, offset as u64).expect("it reads");
            assert!(read == bytes[offset..offset + length], "{offset} {length}");
        }
        let beyond = file.read_at(&mut [0; 10], 2_499_995);
        let error = beyond.expect_err("the file ends before");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

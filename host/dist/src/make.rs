//! Makes every package of one program.

use crate::crates::Crates;
use crate::error::Error;
use crate::product::{self, LICENCES, Machine, NAME, Product};
use crate::{image, libraries, licences, npm, sbom, sums, tarball, wheel};
use std::path::{Path, PathBuf};

/// The packages to make.
#[derive(Debug)]
pub struct Order {
    /// Root of the repository.
    pub root: PathBuf,
    /// The built program, stripped.
    pub program: PathBuf,
    /// Directory for the packages. It is created if it is missing.
    pub out: PathBuf,
    /// Time of all files in the packages, in Unix seconds.
    pub epoch: u64,
    /// Whether to make the image. Its C library is the one of this machine.
    pub image: bool,
}

/// Writes all packages and their checksums. Returns a line for each file, with its size, and for each
/// part that is left out.
///
/// # Errors
///
/// A file can't be read or written, Cargo can't list the dependencies, or the image is wanted and this
/// machine is not a Debian of the program's processor.
pub fn make(order: &Order) -> Result<Vec<String>, Error> {
    let root = order.root.as_path();
    let machine = Machine::of_file(&order.program)?;
    let crates = Crates::read(root, machine)?;
    let licences = licences::text(&crates)?;
    let product = Product::read(root, &order.program, &crates.version, order.epoch, licences)?;
    let libraries = match order.image {
        true => libraries::of(&order.program)?,
        false => Vec::new(),
    };
    let sbom = sbom::sbom(&crates, &libraries, &product.program, order.epoch);
    let (printed, mut lines) = product::printed(&order.program);
    let mut files = vec![tarball::tarball(root, &product, printed, &sbom)?];
    files.extend(npm::packages(&product)?);
    files.push(wheel::wheel(&product)?);
    if order.image {
        files.push(image::image(&product, &libraries, &sbom)?);
    }
    let bill = format!("{NAME}-{}-{}.cdx.json", product.version, machine.name());
    files.push((bill, sbom.into_bytes()));
    files.push((LICENCES.to_owned(), product.licences.clone().into_bytes()));
    let sums = sums::sums(&files);
    files.push((sums::FILE.to_owned(), sums.into_bytes()));
    std::fs::create_dir_all(&order.out).map_err(Error::at(&order.out))?;
    for (name, bytes) in files {
        let path = order.out.join(name);
        write(&path, &bytes)?;
        lines.push(format!("{} ({} bytes)", path.display(), bytes.len()));
    }
    Ok(lines)
}

/// Renames the file into place, so that no reader finds a partial file.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let part = path.with_extension("part");
    std::fs::write(&part, bytes).map_err(Error::at(&part))?;
    std::fs::rename(&part, path).map_err(Error::at(path))
}

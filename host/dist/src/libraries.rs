//! The C library's files for the image, from the Debian or Ubuntu that makes the image.
//!
//! The program needs a C library and nothing else. musl would make it static, but its memory functions
//! are slow, and the program would differ from the one in the other packages. So the image gets the files that
//! the dynamic loader of this machine names, with the version and the licence of their package.

use crate::archive::{Entry, FILE, PROGRAM};
use crate::error::{self, Error};
use std::path::Path;
use std::process::{Command, Stdio};

const ADVICE: &str = "The image takes the C library of a Debian or Ubuntu of the same processor: make it \
                      there, or leave it out with --no-image";

/// A file of the machine that the program needs.
#[derive(Debug)]
pub(crate) struct Library {
    /// Path, by which the program or the loader finds the file.
    path: String,
    bytes: Vec<u8>,
    /// Debian package of the file.
    pub(crate) package: String,
    /// Version of the package.
    pub(crate) version: String,
    /// Licence text of the package.
    licence: Vec<u8>,
}

impl Library {
    /// The package's URL in bills of materials.
    pub(crate) fn purl(&self) -> String {
        format!(
            "pkg:deb/debian/{}@{}",
            self.package,
            self.version.replace('+', "%2B")
        )
    }

    /// The file in the image, with the licence of its package.
    pub(crate) fn entries(&self) -> [Entry<'_>; 2] {
        let licence = format!("usr/share/doc/{}/copyright", self.package);
        [
            // The loader is a program.
            Entry::file(
                self.path.trim_start_matches('/'),
                PROGRAM,
                self.bytes.as_slice(),
            ),
            Entry::file(licence, FILE, self.licence.as_slice()),
        ]
    }
}

/// Finds the files that a program needs.
pub(crate) fn of(program: &Path) -> Result<Vec<Library>, Error> {
    let listed = output(Command::new("ldd").arg(program))?;
    paths(&listed).into_iter().map(library).collect()
}

/// Paths of files in the output of `ldd`.
fn paths(listed: &str) -> Vec<&str> {
    let path = |line: &'_ str| -> Option<(usize, usize)> {
        let start = line.find('/')?;
        // A library has a name before the arrow, the loader has not.
        Some((start, line.find(" (")?))
    };
    let mut paths: Vec<&str> = listed
        .lines()
        .filter_map(|line| path(line).and_then(|(start, end)| line.get(start..end)))
        .map(str::trim)
        .collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

fn library(path: &str) -> Result<Library, Error> {
    let owner = owner(path)?;
    // `libc6:amd64: /lib/x86_64-linux-gnu/libc.so.6`
    let package = owner.split(": ").next().unwrap_or_default();
    let version = output(Command::new("dpkg-query").args(["-W", "-f=${Version}", package]))?;
    let name = package.split(':').next().unwrap_or_default();
    let licence = Path::new("/usr/share/doc").join(name).join("copyright");
    Ok(Library {
        path: path.to_owned(),
        bytes: error::read(Path::new(path))?,
        package: name.to_owned(),
        version: version.trim().to_owned(),
        licence: error::read(&licence)?,
    })
}

/// Debian's database has some files with `/usr`, and some without.
fn owner(path: &str) -> Result<String, Error> {
    let other = match path.strip_prefix("/usr") {
        Some(rest) => rest.to_owned(),
        None => format!("/usr{path}"),
    };
    output(Command::new("dpkg-query").args(["-S", path]))
        .or_else(|_| output(Command::new("dpkg-query").args(["-S", &other])))
}

fn output(command: &mut Command) -> Result<String, Error> {
    let words: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let failed = |reason: String| Error::Tool {
        tool: words.join(" "),
        reason,
        advice: ADVICE,
    };
    let out = command.env("LC_ALL", "C").stdin(Stdio::null()).output();
    let out = out.map_err(|error| failed(error.to_string()))?;
    match out.status.success() {
        true => Ok(String::from_utf8_lossy(&out.stdout).into_owned()),
        false => Err(failed(
            String::from_utf8_lossy(&out.stderr).trim().to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_read_from_ldd() {
        let listed = "\tlinux-vdso.so.1 (0x00007ffc)\n\
                      \tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f00)\n\
                      \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f01)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f02)\n";
        assert_eq!(
            paths(listed),
            [
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib/x86_64-linux-gnu/libm.so.6",
                "/lib64/ld-linux-x86-64.so.2"
            ]
        );
        assert_eq!(paths("\tstatically linked\n"), Vec::<&str>::new());
    }
}

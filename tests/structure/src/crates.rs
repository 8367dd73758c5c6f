//! The source files of a crate, parsed.

use crate::arrows::{self, Arrow};
use crate::modules::Modules;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// One source file.
#[derive(Debug)]
pub struct Source {
    /// Path below the directory of the sources, with `/`.
    pub path: String,
    /// Text of the file.
    pub text: String,
}

/// The source files of one crate, tests left out, with the arrows between them.
#[derive(Debug)]
pub struct Tree {
    /// Paths of the files, in order.
    pub files: Vec<String>,
    /// The arrows.
    pub arrows: BTreeSet<Arrow>,
    /// Paths into other crates of the workspace that each file names, such as
    /// `["limits", "Config"]`, by the crate.
    pub foreign: BTreeSet<(String, Vec<String>)>,
    /// Public items, and the file of each.
    pub public: BTreeMap<Vec<String>, String>,
}

impl Tree {
    /// Reads the sources below `directory`, with the roots `lib.rs` and `main.rs`. `foreign` are
    /// the names of the other crates to look for.
    ///
    /// # Errors
    ///
    /// A file that can't be read or parsed.
    pub fn read(directory: &Path, foreign: &[&str]) -> Result<Self, String> {
        let mut sources = Vec::new();
        let mut left = vec![directory.to_path_buf()];
        while let Some(next) = left.pop() {
            let entries = std::fs::read_dir(&next).map_err(|error| error_at(&next, &error))?;
            for entry in entries {
                let path = entry.map_err(|error| error_at(&next, &error))?.path();
                if path.is_dir() {
                    left.push(path);
                } else if path.extension().is_some_and(|ext| ext == "rs") {
                    let text = std::fs::read_to_string(&path).map_err(|e| error_at(&path, &e))?;
                    sources.push(Source {
                        path: below(directory, &path),
                        text,
                    });
                }
            }
        }
        Self::of(sources, foreign)
    }

    /// Builds the tree from sources in memory.
    ///
    /// # Errors
    ///
    /// A file that can't be parsed.
    pub fn of(mut sources: Vec<Source>, foreign: &[&str]) -> Result<Self, String> {
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        let mut parsed = Vec::new();
        for source in &sources {
            let file = syn::parse_file(&source.text)
                .map_err(|error| format!("{}: {error}", source.path))?;
            parsed.push((source.path.clone(), file));
        }
        let modules = Modules::new(&parsed);
        let (arrows, named) = arrows::find(&modules, foreign);
        let name = |file: usize| modules.files[file].clone();
        let files = modules.reached().into_iter().map(name).collect();
        let arrows = arrows
            .into_iter()
            .map(|((from, to), reason)| Arrow {
                from: name(from),
                to: name(to),
                reason,
            })
            .collect();
        let foreign = named
            .into_iter()
            .map(|(file, path)| (name(file), path))
            .collect();
        let public = modules
            .public()
            .into_iter()
            .map(|(path, file)| (path, name(file)))
            .collect();
        Ok(Self {
            files,
            arrows,
            foreign,
            public,
        })
    }
}

fn error_at(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

fn below(directory: &Path, path: &Path) -> String {
    let rest = path.strip_prefix(directory).unwrap_or(path);
    let parts = rest
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    PathBuf::from(parts.collect::<Vec<_>>().join("/"))
        .to_string_lossy()
        .into_owned()
}

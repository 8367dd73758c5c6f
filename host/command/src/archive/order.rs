//! The files of an archive.

use super::file::{COMPLETE, Reader};
use super::format::Header;
use crate::failure::Failure;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Files in an order in which sources come before their forks.
pub(crate) fn ordered(files: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut waiting: BTreeMap<String, (PathBuf, Option<String>)> = BTreeMap::new();
    for file in files {
        for file in below(file)? {
            let Header { name, fork, .. } = Reader::open(&file)?.header;
            let entry = (file.clone(), fork.map(|fork| fork.source));
            if let Some((other, _)) = waiting.insert(name.clone(), entry)
                && other != file
            {
                return Err(Failure::Invalid(format!(
                    "{} and {} are both of the stream {name}: give one of them",
                    other.display(),
                    file.display()
                )));
            }
        }
    }
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let is_ready = |source: &Option<String>| {
            source
                .as_ref()
                .is_none_or(|source| !waiting.contains_key(source))
        };
        let entries = waiting.iter();
        let ready = entries.filter(|(_, (_, source))| is_ready(source));
        let ready: Vec<String> = ready.map(|(name, _)| name.clone()).collect();
        if ready.is_empty() {
            let problem = "the archive is damaged: some of its forks are sources of each other";
            return Err(Failure::Invalid(problem.to_owned()));
        }
        for name in ready {
            ordered.extend(waiting.remove(&name).map(|(file, _)| file));
        }
    }
    Ok(ordered)
}

fn below(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| Failure::file(path, error))? {
        let file = entry.map_err(|error| Failure::file(path, error))?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == COMPLETE)
        {
            files.push(file);
        }
    }
    Ok(files)
}

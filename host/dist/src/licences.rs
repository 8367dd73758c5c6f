//! The licences of all dependencies, in one text.

use crate::crates::{Crate, Crates};
use crate::error::{self, Error};
use crate::product::NAME;
use spdx::{Expression, LicenseItem, ParseMode};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Beginnings of the names of licence files, in upper case.
const FILES: [&str; 6] = [
    "LICENSE",
    "LICENCE",
    "COPYING",
    "COPYRIGHT",
    "NOTICE",
    "UNLICENSE",
];
/// Depth of directories to look into. C libraries have their licence in a directory of their own.
const DEPTH: usize = 2;

/// Parts of the program that are no crates: name and licence.
const OTHERS: [(&str, &str); 2] = [
    ("the Rust standard library", "MIT OR Apache-2.0"),
    (
        "LLVM's compiler-rt and libunwind",
        "Apache-2.0 WITH LLVM-exception",
    ),
];

const RULE: &str =
    "--------------------------------------------------------------------------------";

/// Returns a table of the dependencies, and every licence text once with the crates that have it.
pub(crate) fn text(crates: &Crates) -> Result<String, Error> {
    let mut table = BTreeSet::new();
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in crates.others.values() {
        let name = format!("{} {}", one.name, one.version);
        let home = one.repository.as_deref().unwrap_or("-");
        table.insert(format!("{name}: {}, {home}", one.licence));
        for text in texts_of(one)? {
            texts.entry(text).or_default().insert(name.clone());
        }
    }
    for (name, licence) in OTHERS {
        table.insert(format!("{name}: {licence}"));
        for text in standard_texts(name, licence)? {
            texts.entry(text).or_default().insert(name.to_owned());
        }
    }
    let mut out = format!(
        "{NAME} {} is built from the software below, each part under its own licence.\n\n",
        crates.version
    );
    for line in table {
        out.push_str(&line);
        out.push('\n');
    }
    let mut texts: Vec<(BTreeSet<String>, String)> = texts
        .into_iter()
        .map(|(text, names)| (names, text))
        .collect();
    texts.sort();
    for (names, text) in texts {
        let names: Vec<String> = names.into_iter().collect();
        out.push_str(&format!(
            "\n{RULE}\n{}\n{RULE}\n\n{text}\n",
            names.join(", ")
        ));
    }
    Ok(out)
}

/// The licence files of a crate, or the standard texts of its licences if it has no file.
fn texts_of(one: &Crate) -> Result<Vec<String>, Error> {
    let mut files = Vec::new();
    find(&one.directory, 0, &mut files)?;
    files.sort();
    let mut texts = Vec::new();
    for file in files {
        // A few files are in Latin-1.
        let bytes = error::read(&file)?;
        texts.push(tidy(&String::from_utf8_lossy(&bytes)));
    }
    match texts.is_empty() {
        false => Ok(texts),
        true => standard_texts(&format!("{} {}", one.name, one.version), &one.licence),
    }
}

fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

fn find(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in std::fs::read_dir(directory).map_err(Error::at(directory))? {
        let entry = entry.map_err(Error::at(directory))?;
        let kind = entry.file_type().map_err(Error::at(directory))?;
        let name = entry.file_name().to_string_lossy().to_uppercase();
        if kind.is_dir() && depth + 1 < DEPTH {
            find(&entry.path(), depth + 1, files)?;
        } else if kind.is_file() && is_licence(&name) {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// Whether a file's name, in upper case, is the one of a licence and not of code about licences.
fn is_licence(name: &str) -> bool {
    let rest = FILES.iter().find_map(|file| name.strip_prefix(file));
    let is_code = [".RS", ".C", ".H", ".PY", ".JS"]
        .iter()
        .any(|kind| name.ends_with(kind));
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphabetic())) && !is_code
}

/// The texts of the SPDX list for the licences that an expression names.
fn standard_texts(name: &str, licence: &str) -> Result<Vec<String>, Error> {
    let unknown = || Error::NoLicence(name.to_owned(), licence.to_owned());
    let expression = Expression::parse_mode(licence, ParseMode::LAX).map_err(|_| unknown())?;
    let mut texts = Vec::new();
    for requirement in expression.requirements() {
        let LicenseItem::Spdx { id, .. } = &requirement.req.license else {
            return Err(unknown());
        };
        let mut text = id.text().to_owned();
        if let Some(spdx::AdditionItem::Spdx(exception)) = &requirement.req.addition {
            text = format!("{text}\n\n{}", exception.text());
        }
        texts.push(tidy(&text));
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_files_are_told_from_code() {
        for name in [
            "LICENSE",
            "LICENSE-MIT",
            "LICENSE.TXT",
            "COPYING",
            "NOTICE.MD",
        ] {
            assert!(is_licence(name), "{name}");
        }
        for name in ["LICENSES.RS", "LICENSE.RS", "NOTICEABLE", "README.MD"] {
            assert!(!is_licence(name), "{name}");
        }
    }

    #[test]
    fn a_crate_without_a_file_gets_the_standard_texts() {
        let texts = standard_texts("a 1.0.0", "MIT OR Apache-2.0 WITH LLVM-exception").unwrap();
        assert_eq!(texts.len(), 2);
        assert!(texts[0].contains("Permission is hereby granted"));
        assert!(texts[1].contains("LLVM Exceptions"), "{}", texts[1]);
        let error = standard_texts("b 1.0.0", "").unwrap_err().to_string();
        assert!(error.starts_with("b 1.0.0 has no file"), "{error}");
    }
}

use super::super::SystemFiles;
use super::*;
use std::fs::{self, File};

fn open_real(dir: &Path) -> Result<Log, OpenError> {
    Ok(Log::open(dir, Arc::new(SystemFiles), small_segments())?.0)
}

#[test]
fn a_real_directory_keeps_what_was_committed() -> Result<(), Box<dyn std::error::Error>> {
    let temp = tempfile::tempdir()?;
    let dir = temp.path().join("a/b");
    let log = open_real(&dir)?;
    // More slices than the system takes at once.
    let changes: Vec<Change> = (0..1500)
        .map(|number| set(&format!("k{number}"), &[number as u8; 3000], number + 1))
        .collect();
    log.commit(&changes)?;
    log.commit(&changes[..3])?;
    for sequence in 2000..2100 {
        commit(&log, set("k0", &[1; 500], sequence))?;
        compact_all(&log);
    }
    assert!(matches!(open_real(&dir), Err(OpenError::InUse(_))));
    let found = log.get("k7", Wait::Never)?;
    assert!(matches!(found, Found::Value { .. } | Found::NotResident));
    let before = contents(&log);
    assert_eq!(before.len(), 1500);
    drop(log);
    let log = open_real(&dir)?;
    assert_eq!(contents(&log), before);
    assert_eq!(log.verify()?.damages, []);
    Ok(())
}

#[test]
fn a_foreign_directory_is_left_as_it_was() -> Result<(), Box<dyn std::error::Error>> {
    let temp = tempfile::tempdir()?;
    File::create(temp.path().join("letter.txt"))?;
    assert!(matches!(open_real(temp.path()), Err(OpenError::Foreign(_))));
    assert_eq!(fs::read_dir(temp.path())?.count(), 1);
    Ok(())
}

#[test]
fn what_is_not_a_directory_is_refused() -> Result<(), Box<dyn std::error::Error>> {
    let file = tempfile::NamedTempFile::new()?;
    assert!(matches!(open_real(file.path()), Err(OpenError::Io { .. })));
    Ok(())
}

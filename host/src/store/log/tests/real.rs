use super::super::SystemFiles;
use super::*;
use std::fs::{self, File};

fn open_real(dir: &Path) -> Result<Log, OpenError> {
    Ok(Log::open(dir, Arc::new(SystemFiles), small_segments())?.0)
}

#[test]
fn a_real_directory_keeps_committed_values() -> Result<(), Box<dyn std::error::Error>> {
    let temp = tempfile::tempdir()?;
    let dir = temp.path().join("a/b");
    let log = open_real(&dir)?;
    // The batch has more slices than the system takes at once.
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
fn a_path_that_is_not_a_directory_is_refused() -> Result<(), Box<dyn std::error::Error>> {
    let file = tempfile::NamedTempFile::new()?;
    assert!(matches!(open_real(file.path()), Err(OpenError::Io { .. })));
    Ok(())
}

/// Before the fix, all users could read the files, and a second server could start once `LOCK` was
/// deleted.
#[test]
fn files_are_private_and_the_directory_itself_is_locked() -> Result<(), Box<dyn std::error::Error>>
{
    use std::os::unix::fs::PermissionsExt;
    let temp = tempfile::tempdir()?;
    let dir = temp.path().join("data");
    let log = open_real(&dir)?;
    for sequence in 1..10 {
        commit(&log, set("a", &[1; 3000], sequence))?;
    }
    let mode = |path: &Path| -> std::io::Result<u32> {
        Ok(fs::metadata(path)?.permissions().mode() & 0o777)
    };
    assert_eq!(mode(&dir)?, 0o700);
    for entry in fs::read_dir(&dir)? {
        let path = entry?.path();
        assert_eq!(mode(&path)?, 0o600, "{}", path.display());
    }
    fs::remove_file(dir.join("LOCK"))?;
    assert!(matches!(open_real(&dir), Err(OpenError::InUse(_))));
    drop(log);
    let first = dir.join("0000000001.log");
    fs::set_permissions(&first, fs::Permissions::from_mode(0o644))?;
    drop(open_real(&dir)?);
    assert_eq!(mode(&first)?, 0o600, "of an older version");
    Ok(())
}

/// Before the fix, the store went on to acknowledge appends.
#[test]
fn a_directory_that_vanished_is_noticed() -> Result<(), Box<dyn std::error::Error>> {
    for replaced in [false, true] {
        for looked in [false, true] {
            let temp = tempfile::tempdir()?;
            let dir = temp.path().join("data");
            let log = open_real(&dir)?;
            commit(&log, set("a", b"1", 1))?;
            log.look();
            assert!(!log.refuses_writes());
            if replaced {
                fs::rename(&dir, temp.path().join("moved"))?;
                drop(open_real(&dir)?);
            } else {
                fs::remove_dir_all(&dir)?;
            }
            if looked {
                log.look();
            } else {
                let failed = commit(&log, set("a", b"2", 2));
                assert!(matches!(failed, Err(CommitError::Sync(_))), "{failed:?}");
            }
            assert!(log.refuses_writes());
            assert_eq!(value(&log, "a").as_deref(), Some(&b"1"[..]));
        }
    }
    Ok(())
}

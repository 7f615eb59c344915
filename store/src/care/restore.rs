//! Putting a backup back.

use std::path::Path;

use telemetry::Clock;

use super::copy::{copy_still, empty, sum, sync, write_small};
use super::folder::{RESTORING_FILE, STATE_FILE};
use super::manifest::{self, MANIFEST_FILE, Manifest, ManifestError, SUMS_FILE, UNFINISHED_FILE, sum_of};
use super::{CareError, Watcher};
use crate::reserve::{DiskSpace, RESERVE_BYTES};
use crate::state::State;

/// Reads the list of a backup and finds out whether it is whole: the list is what was written, every file is there, of
/// its size, and of a version that this program knows. The files themselves are not read.
///
/// # Errors
/// [`CareError::NotWhole`], [`CareError::Altered`] or [`CareError::Newer`].
pub fn inspect(from: &Path) -> Result<Manifest, CareError> {
    let not_whole = |why: &str| CareError::NotWhole {
        folder: from.display().to_string(),
        why: why.to_owned(),
    };
    if from.join(UNFINISHED_FILE).exists() {
        return Err(not_whole("it was never finished"));
    }
    let list = from.join(MANIFEST_FILE);
    let sums = from.join(SUMS_FILE);
    if !list.exists() || !sums.exists() {
        return Err(not_whole(&format!(
            "there is no {MANIFEST_FILE} with its {SUMS_FILE}"
        )));
    }
    let sums = std::fs::read_to_string(&sums).map_err(CareError::io(&sums, "reading it"))?;
    let altered = |why: &str| CareError::Altered {
        file: list.display().to_string(),
        why: why.to_owned(),
    };
    if sum_of(&sums, MANIFEST_FILE) != Some(sum(&list)?.1.as_str()) {
        return Err(altered("its SHA-256 is another"));
    }
    let text = std::fs::read_to_string(&list).map_err(CareError::io(&list, "reading it"))?;
    let manifest = manifest::read(&text).map_err(|error| match error {
        ManifestError::Newer(found) => CareError::Newer {
            file: list.display().to_string(),
            found,
            known: manifest::FORMAT,
        },
        error => altered(&telemetry::with_causes(&error)),
    })?;
    for file in &manifest.files {
        let path = from.join(&file.name);
        if file.version > file.kind.known() {
            return Err(CareError::Newer {
                file: path.display().to_string(),
                found: file.version,
                known: file.kind.known(),
            });
        }
        let found = std::fs::metadata(&path)
            .map_err(CareError::io(&path, "looking for it"))?
            .len();
        if found != file.size_bytes {
            return Err(CareError::Altered {
                file: path.display().to_string(),
                why: format!("it has {found} bytes; it had {}", file.size_bytes),
            });
        }
    }
    Ok(manifest)
}

/// Copies the backup `from` into `data`, which is empty but for the lock that the caller holds. Every file is compared
/// with its sum while it is copied. A folder in which this failed or was interrupted is marked, and no server starts on it.
///
/// # Errors
/// [`CareError`]. What was begun is taken away again.
pub fn restore(
    from: &Path,
    data: &Path,
    clock: &dyn Clock,
    watch: &mut Watcher<'_>,
) -> Result<Manifest, CareError> {
    let manifest = inspect(from)?;
    empty(data)?;
    let needed_bytes = manifest.files.iter().map(|file| file.size_bytes).sum();
    let space = DiskSpace::of(data).map_err(CareError::io(data, "asking for its free space"))?;
    let kept_bytes = RESERVE_BYTES.min(space.total_bytes / 16) * 2;
    if space.free_bytes < kept_bytes.saturating_add(needed_bytes) {
        return Err(CareError::NoRoom {
            folder: data.display().to_string(),
            needed_bytes,
            free_bytes: space.free_bytes,
            kept_bytes,
        });
    }
    let mark = data.join(RESTORING_FILE);
    write_small(
        &mark,
        "a backup is being restored here, or was given up: empty this folder\n",
    )?;
    sync(data)?;
    let copied = copy_all(from, data, &manifest, watch);
    if let Err(error) = copied.and_then(|()| note(data, clock)) {
        clean_up(data, &manifest);
        return Err(error);
    }
    sync(data)?;
    std::fs::remove_file(&mark).map_err(CareError::io(&mark, "taking it away"))?;
    sync(data)?;
    Ok(manifest)
}

fn copy_all(from: &Path, data: &Path, manifest: &Manifest, watch: &mut Watcher<'_>) -> Result<(), CareError> {
    for file in &manifest.files {
        let source = from.join(&file.name);
        let (size, sha256) = copy_still(&source, &data.join(&file.name), watch)?;
        if size != file.size_bytes || sha256 != file.sha256 {
            return Err(CareError::Altered {
                file: source.display().to_string(),
                why: "its SHA-256 is another".to_owned(),
            });
        }
    }
    Ok(())
}

/// Has the alarms know that what they count from now on was counted before.
fn note(data: &Path, clock: &dyn Clock) -> Result<(), CareError> {
    let file = data.join(STATE_FILE);
    if file.exists() {
        State::open(&file)?.note_restore(clock.now())?;
    }
    Ok(())
}

fn clean_up(data: &Path, manifest: &Manifest) {
    let names = manifest.files.iter().map(|file| file.name.as_str());
    // The mark goes last.
    for name in names.chain([RESTORING_FILE]) {
        if let Err(error) = std::fs::remove_file(data.join(name))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(file = name, %error, "a file of the restore that failed could not be taken away");
            return;
        }
    }
}

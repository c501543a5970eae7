//! The directory of the append-only file, and how its manifest is changed.
//!
//! A changed manifest is written under another name, forced to disk and renamed, and the directory
//! is forced to disk: whatever fails before leaves the old one in force.

use super::manifest::{Manifest, Part};
use crate::config::Config;
use crate::config::apply::system_text;
use crate::error::Logged;
use crate::persistence::file::sync_dir;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The directory.
pub fn dir(config: &Config) -> PathBuf {
    Path::new(&config.dir).join(&config.appenddirname)
}

/// Creates the directory unless it is there.
///
/// # Errors
/// If that fails; the log says why.
pub fn create_dir(config: &Config) -> Result<(), Logged> {
    std::fs::create_dir_all(dir(config)).map_err(|error| {
        tracing::warn!(
            "Can't open or create append-only dir {}: {}",
            config.appenddirname,
            system_text(&error)
        );
        Logged
    })
}

fn manifest_name(config: &Config) -> String {
    format!("{}.manifest", config.appendfilename)
}

/// The increment that is written while the first base is.
pub fn temp_increment_name(config: &Config) -> String {
    format!("temp-{}.incr", config.appendfilename)
}

/// Reads the manifest; without one, there are no files.
///
/// # Errors
/// If it is there and cannot be read; the log says why.
pub fn read_manifest(config: &Config) -> Result<Manifest, Logged> {
    let path = dir(config).join(manifest_name(config));
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::debug!("The AOF manifest file {} doesn't exist", manifest_name(config));
            return Ok(Manifest::default());
        }
        Err(error) => {
            tracing::warn!(
                "Fatal error: can't open the AOF manifest file {} for reading: {}",
                path.display(),
                system_text(&error)
            );
            return Err(Logged);
        }
    };
    Manifest::parse(&text).map_err(|(error, line)| {
        tracing::warn!("\n*** FATAL AOF MANIFEST FILE ERROR ***\n");
        if let Some((number, line)) = line {
            tracing::warn!("Reading the manifest file, at line {number}\n");
            tracing::warn!(">>> '{}'\n", String::from_utf8_lossy(&line));
        }
        tracing::warn!("{error}\n");
        Logged
    })
}

/// Writes a manifest in the place of the old one.
///
/// # Errors
/// If that fails; the log says why.
pub fn write_manifest(config: &Config, manifest: &Manifest) -> Result<(), Logged> {
    let (dir, name) = (dir(config), manifest_name(config));
    let temp_name = format!("temp-{name}");
    let temp_path = dir.join(&temp_name);
    let fail = |what: String| {
        move |error: io::Error| {
            tracing::warn!("{what}: {}", system_text(&error));
            Logged
        }
    };
    let mut file = File::create(&temp_path)
        .map_err(fail(format!("Can't open the AOF manifest file {temp_name}")))?;
    file.write_all(&manifest.to_text()).map_err(fail(format!(
        "Error trying to write the temporary AOF manifest file {temp_name}"
    )))?;
    file.sync_all().map_err(fail(format!("Fail to fsync the temp AOF file {temp_name}")))?;
    std::fs::rename(&temp_path, dir.join(&name)).map_err(fail(format!(
        "Error trying to rename the temporary AOF manifest file {temp_name} into {name}"
    )))?;
    sync_dir(&dir).map_err(fail(format!("Fail to fsync AOF directory {}", dir.display())))
}

/// The size of one of the files.
///
/// # Errors
/// If it is not there; the log says so.
pub fn size_of(config: &Config, part: &Part) -> Result<u64, Logged> {
    std::fs::metadata(part.path(&dir(config))).map(|metadata| metadata.len()).map_err(|error| {
        tracing::warn!(
            "Unable to obtain the AOF file {} length. stat: {}",
            part.shown_name(),
            system_text(&error)
        );
        Logged
    })
}

/// The size of all files with data.
///
/// # Errors
/// As [`size_of`].
pub fn total_size(config: &Config, manifest: &Manifest) -> Result<u64, Logged> {
    manifest.parts().try_fold(0, |sum, part| Ok(sum + size_of(config, part)?))
}

/// Removes the files that are history, unless they are to be kept.
///
/// # Errors
/// If the manifest cannot be written; the log says why.
pub fn remove_history(config: &Config, manifest: &mut Manifest) -> Result<(), Logged> {
    if config.aof_disable_auto_gc || manifest.history.is_empty() {
        return Ok(());
    }
    let mut changed = manifest.clone();
    let history = std::mem::take(&mut changed.history);
    for part in &history {
        tracing::info!("Removing the history file {} in the background", part.shown_name());
        // It may be gone already. If it stays, nobody reads it.
        let _ = std::fs::remove_file(part.path(&dir(config)));
    }
    write_manifest(config, &changed)?;
    *manifest = changed;
    Ok(())
}

/// Takes the single file of an older server into the directory, as the base.
///
/// It may be interrupted at any point, and goes on at the next start: only the rename, its last step,
/// takes the file away from where it is looked for.
///
/// # Errors
/// If that fails; the log says why.
pub fn adopt_old_file(config: &Config, manifest: &mut Manifest) -> Result<(), Logged> {
    let old = Path::new(&config.dir).join(&config.appendfilename);
    let new = dir(config).join(&config.appendfilename);
    let is_begun = manifest.increments.is_empty()
        && manifest.base.as_ref().is_some_and(|base| base.name == config.appendfilename.as_bytes())
        && !new.exists();
    if !old.is_file() || !(manifest.is_empty() || is_begun) {
        return Ok(());
    }
    create_dir(config)?;
    manifest.adopt(&config.appendfilename);
    write_manifest(config, manifest)?;
    std::fs::rename(&old, &new).map_err(|error| {
        tracing::warn!(
            "Error trying to move the old AOF file {} into dir {}: {}",
            config.appendfilename,
            config.appenddirname,
            system_text(&error)
        );
        Logged
    })?;
    tracing::info!(
        "Successfully migrated an old-style AOF file ({}) into the AOF directory ({}).",
        config.appendfilename,
        config.appenddirname
    );
    Ok(())
}

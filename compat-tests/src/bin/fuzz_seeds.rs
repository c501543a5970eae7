//! Writes the commands of each compatibility case as a beginning for the fuzz targets.

use compat_tests::case::{Action, Case, CaseFile, load_all};
use compat_tests::server::repository;
use compat_tests::wire::request;
use std::error::Error;
use std::fs;

/// What the targets take for the length of the pieces.
const PIECE_LEN: u8 = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let cases = load_all(&repository().join("compat-tests/cases"))?;
    for target in ["request_parser", "commands"] {
        let folder = repository().join("fuzz/corpus").join(target);
        fs::create_dir_all(&folder)?;
        for file in &cases {
            for (number, case) in file.cases.iter().enumerate() {
                let name = format!("{}-{number}", file.name.replace('/', "-"));
                fs::write(folder.join(name), bytes(case))?;
            }
        }
    }
    let folder = repository().join("fuzz/corpus/restore");
    fs::create_dir_all(&folder)?;
    for (number, value) in cases.iter().flat_map(payloads).enumerate() {
        fs::write(folder.join(format!("case-{number}")), value)?;
    }
    Ok(())
}

/// The values of the payloads that a file's cases restore, without version and checksum.
fn payloads(file: &CaseFile) -> impl Iterator<Item = &[u8]> {
    const FOOTER_BYTES: usize = 10;
    file.cases.iter().flat_map(|case| &case.steps).filter_map(|step| match &step.action {
        Action::Command(words) if words[0].eq_ignore_ascii_case(b"RESTORE") => {
            let payload = words.get(3)?;
            payload.get(..payload.len().checked_sub(FOOTER_BYTES)?)
        }
        _ => None,
    })
}

fn bytes(case: &Case) -> Vec<u8> {
    let mut bytes = vec![PIECE_LEN];
    for step in &case.steps {
        match &step.action {
            Action::Command(words) => bytes.extend(request(words)),
            Action::Raw(raw) => bytes.extend(raw),
            _ => {}
        }
    }
    bytes
}

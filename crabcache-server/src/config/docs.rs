//! `crabcache.conf` and `docs/configuration.md` are written from the table by the test below.

use super::{Config, PARAMS, Param, ParamFlags};
use std::fmt::Write;
use std::path::Path;

fn default_config() -> Config {
    // Whatever it is here, it is not what it will be there.
    Config { dir: "./".to_string(), ..Config::default() }
}

/// The text of a row as one paragraph.
fn doc_of(param: &Param) -> String {
    let text: Vec<&str> = param.doc.lines().map(str::trim).collect();
    text.join(" ")
}

/// Breaks a paragraph into comment lines.
fn comment(text: &str) -> String {
    const WIDTH: usize = 98;
    let mut lines = vec!["#".to_string()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is a first line");
        if last.len() + word.len() < WIDTH {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(format!("# {word}"));
        }
    }
    lines.join("\n")
}

/// The default as lines of redis.conf.
fn default_lines(param: &Param, config: &Config) -> Vec<String> {
    let text = String::from_utf8_lossy(&(param.get)(config)).into_owned();
    let lines = (param.lines)(config, config);
    match lines.as_slice() {
        [] if param.name == "replicaof" => vec!["replicaof no one".to_string()],
        [] if text.is_empty() => vec![format!("{} \"\"", param.name)],
        [] => vec![format!("{} {text}", param.name)],
        lines => lines.iter().map(|line| format!("{} {}", param.name, line.text)).collect(),
    }
}

fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&str> = PARAMS.iter().map(|param| param.section).collect();
    sections.dedup();
    sections
}

fn conf_file() -> String {
    let config = default_config();
    let mut text = comment(
        "The configuration of CrabCache. Start it with this file as its first argument: \
         crabcache-server /path/to/crabcache.conf. Each line is a parameter and its value; a value \
         with spaces stands in quotes. Bytes can have a unit: 1k is 1000, 1kb is 1024, 1m is \
         1000000, 1mb is 1048576, and so on to gb. `include other.conf` reads another file, or all \
         that match a pattern. What is written here are the defaults.",
    );
    for section in sections() {
        let line = "#".repeat(98 - section.len() - 1);
        let _ = write!(text, "\n\n{line} {section}\n");
        let is_shown = |param: &&Param| {
            let is_hidden = param.flags.contains(ParamFlags::HIDDEN);
            param.section == section && (!is_hidden || param.flags.contains(ParamFlags::OWN))
        };
        for param in PARAMS.iter().filter(is_shown) {
            let mut doc = doc_of(param);
            if param.flags.contains(ParamFlags::NOOP) {
                doc.push_str(" (Accepted, without effect.)");
            }
            let _ = write!(text, "\n{}\n", comment(&doc));
            for line in default_lines(param, &config) {
                let _ = writeln!(text, "# {line}");
            }
        }
        text = text.trim_end().to_string();
    }
    text + "\n"
}

fn document() -> String {
    let config = default_config();
    let mut text = "\
# Configuration

This page is made from the parameter table.
Parameters are set in a configuration file, on the command line (`--name value`) or with CONFIG SET.
*Start*: can be set only before the start.
*No effect*: accepted, so that configurations of Redis work, but CrabCache does nothing with it.
*Protected*: CONFIG SET only if `enable-protected-configs` allows it.
*Hidden*: CONFIG GET shows it only by its full name.
*Own*: Redis does not know it.
"
    .to_string();
    for section in sections() {
        let _ = write!(
            text,
            "\n## {section}\n\n| parameter | default | may be | | what it is |\n|---|---|---|---|---|\n"
        );
        for param in PARAMS.iter().filter(|param| param.section == section) {
            let default = String::from_utf8_lossy(&(param.get)(&config)).into_owned();
            let default = if default.is_empty() { default } else { format!("`{default}`") };
            let names: Vec<String> = param.names().map(|name| format!("`{name}`")).collect();
            let facts = [
                (!param.flags.contains(ParamFlags::MUTABLE), "start"),
                (param.flags.contains(ParamFlags::NOOP), "no effect"),
                (param.flags.contains(ParamFlags::PROTECTED), "protected"),
                (param.flags.contains(ParamFlags::HIDDEN), "hidden"),
                (param.flags.contains(ParamFlags::OWN), "own"),
            ];
            let facts: Vec<&str> =
                facts.iter().filter(|(is_so, _)| *is_so).map(|(_, name)| *name).collect();
            let _ = writeln!(
                text,
                "| {} | {default} | {} | {} | {} |",
                names.join(", "),
                (param.domain)(),
                facts.join(", "),
                doc_of(param)
            );
        }
    }
    text
}

/// Compares a file with what it should be; puts it right if it is not.
#[track_caller]
fn check_file(path: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    if found != expected {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
        panic!("{} was stale and has been rewritten: run the test again", path.display());
    }
}

#[test]
fn crabcache_conf_is_fresh_and_says_the_defaults() {
    let text = conf_file();
    check_file("crabcache.conf", &text);
    let is_setting = |line: &&str| {
        let name = line.trim_start_matches("# ").split(' ').next().unwrap_or("");
        name != "dir" && line.starts_with("# ") && Param::find(name.as_bytes()).is_some()
    };
    let settings = text.lines().filter(is_setting).filter(|line| !line.contains(". "));
    let options: Vec<&str> = settings.map(|line| line.trim_start_matches("# ")).collect();
    assert!(options.len() > 150, "{}", options.len());
    let sources = super::file::Sources {
        options: options.join("\n").into_bytes(),
        ..super::file::Sources::default()
    };
    let loaded = super::file::load(&sources).unwrap();
    let default = Config::default();
    for param in PARAMS {
        assert_eq!((param.get)(&loaded), (param.get)(&default), "{}", param.name);
    }
}

#[test]
fn the_documentation_is_fresh() {
    check_file("docs/configuration.md", &document());
}

//! Promises about the tree itself: what each floor may use, and what no file may hold.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use toml::Table;

/// Each crate with those of ours it may import, the lowest floor first. ARCHITECTURE.md says why.
const FLOORS: &[(&str, &[&str])] = &[
    ("keylodge-rules", &[]),
    ("keylodge-model", &[]),
    ("keylodge-api", &["keylodge-rules"]),
    ("keylodge-store", &["keylodge-rules"]),
    ("keylodge-gate", &["keylodge-rules", "keylodge-api"]),
    ("keylodge-client", &["keylodge-rules", "keylodge-api"]),
    ("keylodge-services", &["keylodge-rules", "keylodge-model", "keylodge-api", "keylodge-store", "keylodge-gate"]),
    (
        "keylodge",
        &[
            "keylodge-rules",
            "keylodge-model",
            "keylodge-api",
            "keylodge-store",
            "keylodge-gate",
            "keylodge-client",
            "keylodge-services",
        ],
    ),
    // An outsider's program: what it needs from us, any stranger can use.
    ("guard-your-app", &["keylodge-rules", "keylodge-api", "keylodge-gate"]),
];

/// All that the rules may use from outside: hashing, signing, wiping what is secret, and the hash
/// table that std's own is made of.
const RULES_USE: &[&str] = &["crc32fast", "ed25519-dalek", "hashbrown", "hmac", "sha2", "zeroize"];

/// What a floor must never use from outside.
const NEVER: &[(&str, &[&str])] = &[
    ("keylodge-model", &["axum", "http", "hyper", "hyper-util", "sqlx"]),
    ("keylodge-api", &["axum", "hyper", "hyper-util", "sqlx", "tokio"]),
    ("keylodge-store", &["axum", "http", "hyper", "hyper-util"]),
    ("keylodge-gate", &["hyper", "hyper-util", "sqlx"]),
    ("keylodge-client", &["axum", "sqlx"]),
    ("keylodge-services", &["llama-cpp-2", "sqlx"]),
    ("keylodge", &["llama-cpp-2", "sqlx"]),
];

const LINES_MAX: usize = 500;

#[test]
fn imports_point_down_the_floors_only() {
    let packages = packages();
    let mut names: Vec<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    let mut floors: Vec<&str> = FLOORS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    floors.sort_unstable();
    assert_eq!(names, floors, "every crate has a floor");

    for package in &packages {
        let (_, allowed) = FLOORS.iter().find(|(name, _)| *name == package.name).unwrap();
        for used in package.uses.iter().filter(|used| used.ours) {
            assert!(allowed.contains(&used.name.as_str()), "{} must not import {}", package.name, used.name);
        }
    }
}

#[test]
fn the_rules_use_nothing_but_hashing_signing_and_wiping() {
    for used in package("keylodge-rules").uses {
        assert!(RULES_USE.contains(&used.name.as_str()), "keylodge-rules must not use {}", used.name);
    }
}

#[test]
fn no_floor_uses_what_belongs_to_another() {
    for (name, never) in NEVER {
        for used in package(name).uses {
            assert!(!never.contains(&used.name.as_str()), "{name} must not use {}", used.name);
        }
    }
}

#[test]
fn the_gate_and_the_model_are_light_unless_asked() {
    for (name, heavy) in [("keylodge-gate", "axum"), ("keylodge-model", "llama-cpp-2")] {
        let used = package(name).uses.into_iter().find(|used| used.name == heavy);
        assert!(used.is_some_and(|used| used.optional), "{name} has {heavy} behind a feature");
    }
}

#[test]
fn every_crate_inherits_from_the_workspace_and_none_is_unsafe() {
    let workspace = manifest(&root());
    assert_eq!(workspace["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));

    for package in packages() {
        let manifest = manifest(&package.folder);
        let inherits = |value: &toml::Value| value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
        assert!(manifest.get("lints").is_some_and(inherits), "{} inherits the lints", package.name);
        for field in ["version", "edition", "rust-version", "license"] {
            let value = manifest["package"].get(field);
            assert!(value.is_some_and(inherits), "{} inherits its {field}", package.name);
        }
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = manifest.get(table).and_then(toml::Value::as_table);
            for (name, value) in dependencies.into_iter().flatten() {
                assert!(inherits(value), "{} inherits its dependency {name}", package.name);
            }
        }
    }
}

#[test]
fn no_source_file_is_too_long_to_read() {
    for (file, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines; there are two files in it", file.display());
    }
}

#[test]
fn no_source_file_prints_by_the_way() {
    for (file, text) in sources() {
        for (at, line) in code(&text) {
            for print in ["print!(", "println!(", "dbg!("] {
                assert!(!line.contains(print), "{}:{at} has {print}…)", file.display());
            }
        }
    }
}

#[test]
fn a_lint_is_silenced_only_by_expect_and_with_a_reason() {
    for (file, text) in sources() {
        let lines: Vec<(usize, &str)> = code(&text).collect();
        for (index, (at, line)) in lines.iter().enumerate() {
            let place = format!("{}:{at}", file.display());
            let begins = |word: &str| line.find(word).is_some_and(|start| !line[..start].ends_with(is_of_word));
            assert!(!begins("allow("), "{place} has allow(…); say expect(…, reason = \"…\")");
            if line.contains("[expect(") {
                // An attribute ends with the first line that closes it.
                let end = lines[index..].iter().position(|(_, line)| line.ends_with(")]")).unwrap_or(0);
                let says = lines[index..=index + end].iter().any(|(_, line)| line.contains("reason = \""));
                assert!(says, "{place} has an expect without a reason");
            }
        }
    }
}

#[test]
fn no_file_names_the_host_of_a_package_registry() {
    // In two pieces, or this file would be the first to name them.
    let hosts = [
        ["py", "pi.org"],
        ["python", "hosted"],
        ["registry.", "npmjs"],
        ["deb.", "debian"],
        ["index.", "crates.io"],
        ["static.", "crates.io"],
    ]
    .map(|pieces| pieces.concat());

    for file in tracked() {
        // What is no text, or was deleted and not yet committed, names nothing.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for host in &hosts {
            assert!(!text.contains(host.as_str()), "{} names {host}", file.display());
        }
    }
}

/// A crate of ours, and what it uses outside its tests.
struct Package {
    name: String,
    folder: PathBuf,
    uses: Vec<Used>,
}

struct Used {
    name: String,
    ours: bool,
    optional: bool,
}

fn package(name: &str) -> Package {
    packages().into_iter().find(|package| package.name == name).unwrap_or_else(|| panic!("there is no crate {name}"))
}

fn packages() -> Vec<Package> {
    let metadata =
        output(Command::new(env!("CARGO")).args("metadata --format-version 1 --no-deps --offline --locked".split(' ')));
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| Package {
            name: package["name"].as_str().unwrap().to_owned(),
            folder: Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned(),
            uses: package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| Used {
                    name: dependency["name"].as_str().unwrap().to_owned(),
                    ours: dependency.get("path").is_some(),
                    optional: dependency["optional"] == true,
                })
                .collect(),
        })
        .collect()
}

fn manifest(folder: &Path) -> Table {
    fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap()
}

/// Every Rust file under a crate's `src`, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders: Vec<PathBuf> = packages().into_iter().map(|package| package.folder.join("src")).collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push((path, text));
            }
        }
    }
    assert!(!sources.is_empty());
    sources
}

/// The lines that are not comments, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines.filter(|(_, line)| !line.starts_with("//"))
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Every file that git keeps, or would if asked to add all.
fn tracked() -> Vec<PathBuf> {
    let list = output(Command::new("git").args("ls-files -z --cached --others --exclude-standard".split(' ')));
    let list = String::from_utf8(list).unwrap();
    let files: Vec<PathBuf> = list.split_terminator('\0').map(|file| root().join(file)).collect();
    assert!(!files.is_empty());
    files
}

/// What a command prints when it runs at the root.
fn output(command: &mut Command) -> Vec<u8> {
    let program = command.get_program().to_owned();
    let output = command.current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("this test needs {program:?}, which cannot be run: {error}"));
    assert!(output.status.success(), "{program:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

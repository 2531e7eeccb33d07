//! A real browser without a window.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::sdk::{client, install, javascript_package};
use super::variable;

/// Chromium as a package, some 75 MB, which is there for one kind of machine only.
const PACKAGE: &str = "@sparticuz/chromium";
const VERSION: &str = "153.0.0";

/// Where others have theirs.
const NAMES: [&str; 5] =
    ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const ON_MACOS: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";

/// What a journey says that needs one where there is none.
pub(crate) const NONE: &str =
    "neither Chrome nor Chromium is installed: the part of a real browser DID NOT RUN; install either to have it run\n";

/// A browser: the one of a package where there is one, since its version is known, and else one that is installed.
pub(crate) fn browser() -> Option<PathBuf> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Some(of_package());
    }
    let path = variable("PATH").unwrap_or_default();
    let folders: Vec<_> = env::split_paths(&path).collect();
    let installed = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    installed.chain([PathBuf::from(ON_MACOS)]).find(|file| file.is_file())
}

/// Unpacked once into the cache, with the libraries and fonts that it brings along beside it.
fn of_package() -> PathBuf {
    let package = javascript_package("chromium-packed", PACKAGE, VERSION);
    let unpacked = install(&format!("chromium-{VERSION}"), |folder| {
        let mut node = Command::new("node");
        node.arg(client("unpack_chromium.mjs")).arg(packed(&package)).arg(folder);
        node
    });
    unpacked.join("chromium")
}

fn packed(package: &Path) -> PathBuf {
    let place = package.join("node_modules").join(PACKAGE);
    fs::canonicalize(place).expect("a package is where its installer put it")
}

//! Google's own clients: the SDKs, installed once from their registries into the cache and used from there, and the
//! programs of `scripts/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::server::{Folder, Server};
use super::{cache, environment, printed};

/// `google-genai` for Python, of this version.
pub(crate) fn python(version: &str) -> PathBuf {
    python_packages(&[("google-genai", version)])
}

/// These packages for Python, each of its version, in one folder.
pub(crate) fn python_packages(packages: &[(&str, &str)]) -> PathBuf {
    let joined = |between: &str| -> Vec<String> {
        packages.iter().map(|(name, version)| format!("{name}{between}{version}")).collect()
    };
    install(&joined("-").join("+"), |folder| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]).arg(folder);
        pip.args(joined("=="));
        pip
    })
}

/// `@google/genai` for Node, of this version.
pub(crate) fn javascript(version: &str) -> PathBuf {
    javascript_package("google-genai-js", "@google/genai", version)
}

/// A package for Node, kept under this name.
pub(crate) fn javascript_package(name: &str, package: &str, version: &str) -> PathBuf {
    install(&format!("{name}-{version}"), |folder| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(folder);
        npm.arg(format!("{package}@{version}"));
        npm
    })
}

/// Installs beside its place and moves it there when it is whole, one test at a time.
pub(super) fn install(name: &str, installer: impl FnOnce(&Path) -> Command) -> PathBuf {
    let sdks = cache().join("sdk");
    fs::create_dir_all(&sdks).expect("the cache can be written to");
    let lock = File::create(sdks.join("lock")).expect("the cache can be written to");
    lock.lock().expect("the cache can be locked");

    let place = sdks.join(name);
    if !place.exists() {
        let new = sdks.join(format!("{name}.new"));
        if new.exists() {
            fs::remove_dir_all(&new).expect("what was left of an attempt can be removed");
        }
        fs::create_dir(&new).expect("the cache can be written to");
        let installed = installer(&new).stdin(Stdio::null()).output();
        let needed = "; this test needs python3 with pip, or node with npm, and their registries";
        let output = installed.unwrap_or_else(|error| panic!("cannot install {name}: {error}{needed}"));
        let (_, complaint) = printed(&output);
        assert!(output.status.success(), "cannot install {name}{needed}: {complaint}");
        fs::rename(&new, &place).expect("a folder can be renamed");
    }
    place
}

/// Runs a program of `clients/` with Python and this SDK, pointed at the server by the environment alone. Gives what it
/// printed: its checks.
#[track_caller]
pub(crate) fn run_python(server: &Server, sdk: &Path, program: &str, arguments: &[&str]) -> String {
    let mut python = Command::new("python3");
    python.arg(client(program)).args(arguments).env("PYTHONPATH", sdk);
    run(server, python)
}

/// Runs a program of `clients/` with Python and these packages, told where the server is and where the owner's token.
#[track_caller]
pub(crate) fn run_python_as_owner(server: &Server, packages: &Path, program: &str) -> String {
    let mut python = Command::new("python3");
    python.arg(client(program)).env("PYTHONPATH", packages);
    run(server, as_owner(server, python))
}

/// The same with Node. The program is copied to where it finds the SDK as an import.
#[track_caller]
pub(crate) fn run_javascript(server: &Server, sdk: &Path, program: &str, arguments: &[&str]) -> String {
    let folder = Folder::new();
    std::os::unix::fs::symlink(sdk.join("node_modules"), folder.path().join("node_modules")).expect("a link is made");
    for file in [program, "checks.mjs"] {
        fs::copy(client(file), folder.path().join(file)).expect("a file can be copied");
    }
    let mut node = Command::new("node");
    node.arg(folder.path().join(program)).args(arguments);
    run(server, node)
}

pub(super) fn client(program: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journeys/clients").join(program)
}

/// A file or folder of `scripts/`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts").join(name)
}

/// With the two arguments that every program takes which manages as the owner: the URL, and the token's file.
pub(crate) fn as_owner(server: &Server, mut program: Command) -> Command {
    program.arg(&server.url).arg(server.folder.data("owner-token"));
    program
}

/// Runs a program to its end and gives what it printed.
#[track_caller]
pub(crate) fn run(server: &Server, program: Command) -> String {
    let output = outcome(server, program);
    let (checks, complaint) = printed(&output);
    assert!(output.status.success(), "after these checks:\n{checks}{complaint}");
    checks
}

/// Runs a program to its end, pointed at the server, however it ends.
pub(crate) fn outcome(server: &Server, mut program: Command) -> Output {
    for (name, _) in environment() {
        let name = name.to_string_lossy().into_owned();
        let upper = name.to_ascii_uppercase();
        // Keys of the developer's own, and proxies that know nothing of this machine's ports.
        if upper.starts_with("GOOGLE_")
            || upper.starts_with("GEMINI_")
            || upper.starts_with("OPENAI_")
            || upper.ends_with("_PROXY")
        {
            program.env_remove(name);
        }
    }
    if server.url.starts_with("https:") {
        program.envs(server.trust());
    }
    program.env("GOOGLE_GEMINI_BASE_URL", &server.url).env("GEMINI_API_KEY", server.key());
    program.env("OPENAI_BASE_URL", format!("{}/v1beta/openai", server.url)).env("OPENAI_API_KEY", server.key());
    program.stdin(Stdio::null()).output().expect("the client can be started")
}

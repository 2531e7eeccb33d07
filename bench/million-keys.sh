#!/usr/bin/env bash
# How Keylodge is with a million keys: start, memory, lists, a create; bench/README.md says what the figures mean.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=$(cargo metadata --locked --no-deps --format-version 1 |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
# Whoever has built a release is measured by it; for all others a release build would take longer than the measurement.
profile=debug
[ ! -x "$target/release/keylodge" ] || profile=release
flags=()
[ $profile = debug ] || flags=(--release)
cargo build --locked "${flags[@]}" -p keylodge --bin keylodge
cargo build --locked "${flags[@]}" -p keylodge-store --example fill
exec python3 bench/million-keys.py --programs "$target/$profile" "$@"

#!/bin/sh
# Runs every check of the project: formatting, lints, tests of the library, of the binary and of the training package.
# The first run builds the inference library (about 12 minutes on 2 cores) and fetches the test videos.
set -eu
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh
install_missing ffmpeg npm
sh scripts/check-one-build.sh
cargo fmt --check
cargo test --locked --quiet
cargo clippy --locked --quiet --all-targets -- -D warnings

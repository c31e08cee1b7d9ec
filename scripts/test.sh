#!/bin/sh
# Runs every check of the project: formatting, lints, the tests of the library and of the binary, and those of the
# training package. The first run builds the inference library (about 12 minutes on 2 cores), fetches the test videos
# and installs torch for the training tests into training/.venv.
#
#   MERCAM_OFFLINE=1         skips what needs files that are not in the cache
#   MERCAM_SKIP_TRAINING=1   leaves out the training package
set -eu
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh
install_missing ffmpeg npm venv mosquitto sqlite3

step() {
    printf '\n== %s\n' "$*"
}

step formatting
cargo fmt --check
step "one build for the binary and the tests"
sh scripts/check-one-build.sh
step "library and binary"
cargo test --locked
step "the feature mqtt, against a real broker"
MERCAM_NEED_BROKER=1 cargo test --locked --features mqtt --lib mqtt
MERCAM_NEED_BROKER=1 cargo test --locked --features mqtt --test mqtt --test compliance
step lints
cargo clippy --locked --all-targets --features mqtt -- -D warnings

case ${MERCAM_SKIP_TRAINING:-}:$(uname -m) in
    1:*) step "training package: left out, as asked" ;;
    *:x86_64 | *:aarch64)
        step "training package"
        python3 -m venv training/.venv
        training/.venv/bin/python -m pip install --quiet --requirement training/requirements.lock
        training/.venv/bin/python -m pip install --quiet --editable './training[test]'
        (cd training && .venv/bin/python -m pytest --quiet)
        ;;
    *) step "training package: left out, there is no torch for $(uname -m)" ;;
esac

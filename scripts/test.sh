#!/bin/sh
# Runs every check of the project: formatting, lints, the tests of the library and of the binary, and those of the
# training package. The first run builds the inference library (about 12 minutes on 2 cores), fetches the test videos
# and installs torch for the training tests into training/.venv.
#
#   MERCAM_OFFLINE=1         skips what needs files that are not in the cache
#   MERCAM_SKIP_TRAINING=1   leaves out the training package
#   MERCAM_SKIP_CROSS=1      leaves out the boards' binaries
set -eu
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh
emulation=""
[ "$(uname -m)" != x86_64 ] || emulation=emulation
install_missing ffmpeg npm venv mosquitto $emulation
left_out=""

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
MERCAM_NEED_BROKER=1 cargo test --locked --features mqtt --lib sinks::
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

# A machine other than a PC may be what the emulator emulates, and is tested by the tests above.
case ${MERCAM_SKIP_CROSS:-}:$(uname -m) in
    1:*) left_out="the boards' binaries, as asked" ;;
    *:x86_64)
        step "the boards' binaries: cross-built, their events under emulation beside this machine's"
        result=0
        cross/check.sh || result=$?
        case $result in
            0) ;;
            69) left_out="the boards' binaries: the step above says what is missing" ;;
            *) exit $result ;;
        esac
        ;;
    *) left_out="the boards' binaries: they are cross-built on x86-64 only" ;;
esac

[ -z "$left_out" ] || printf '\n== LEFT OUT: %s\n' "$left_out"

#!/bin/sh
# Runs every check of the project: formatting, lints, the tests of the library and of the binary, and those of the
# training package. The first run builds the inference library (about 12 minutes on 2 cores), fetches the test videos
# and installs torch for the training tests into training/.venv.
#
#   MERCAM_OFFLINE=1         skips what needs files that are not in the cache
#   MERCAM_SKIP_TRAINING=1   leaves out the training package
#   MERCAM_SKIP_VM=1         leaves out the emulated machine with a camera
set -eu
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh
case ${MERCAM_SKIP_VM:-}:$(uname -m) in
    :x86_64) vm=vm ;;
    *) vm= ;;
esac
install_missing ffmpeg npm venv mosquitto $vm

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

step "exposure of the units"
if command -v systemd-analyze >/dev/null; then deploy/check.sh; else echo "left out: there is no systemd-analyze here"; fi

case ${MERCAM_SKIP_VM:-}:${MERCAM_OFFLINE:-}:$(uname -m) in
    1:*) step "camera of a real kernel: LEFT OUT, as asked (MERCAM_SKIP_VM=1)" ;;
    *:1:*) step "camera of a real kernel: LEFT OUT, it needs Debian's kernel (MERCAM_OFFLINE=1)" ;;
    *:x86_64)
        step "camera of a real kernel, faults, and a film through camera, UART and host, in an emulated machine"
        cross/vm/run.sh x86_64 target/debug/mercam
        ;;
    *) step "camera of a real kernel: LEFT OUT on $(uname -m)" ;;
esac

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

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
install_missing ffmpeg npm venv mosquitto sqlite3 $vm

step() {
    printf '\n== %s\n' "$*"
}

step formatting
cargo fmt --check
step "one build for the binary and the tests"
sh scripts/check-one-build.sh
step "library and binary with all features, against a real broker"
MERCAM_NEED_BROKER=1 cargo test --locked --features mqtt
step "the binary that the demo builds, without features"
cargo test --locked --test cli
step lints
cargo clippy --locked --all-targets --features mqtt -- -D warnings
cargo clippy --locked --lib --bins -- -D warnings

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
        # Without torch's CUDA packages: 1.8 GB of disk instead of 6, and 2.3 GB less to fetch.
        training/.venv/bin/python -m pip install --quiet --no-cache-dir --no-deps \
            --requirement training/requirements-test.lock
        training/.venv/bin/python training/tools/torch_without_cuda.py
        training/.venv/bin/python -m pip install --quiet --no-cache-dir --no-deps --editable training
        (cd training && .venv/bin/python -m pytest --quiet)
        ;;
    *) step "training package: left out, there is no torch for $(uname -m)" ;;
esac

#!/bin/sh
# Runs every check of the project: formatting, lints, the tests of the library and of the binary, and those of the
# training package. The first run builds the inference library (about 12 minutes on 2 cores), fetches the test videos
# and installs torch for the training tests into training/.venv.
#
#   MERCAM_OFFLINE=1         skips what needs files that are not in the cache
#   SKIP_TRAINING=1          leaves out the training package
#   SKIP_VM=1                leaves out the emulated machine with a camera
#   BOARDS="aarch64 armv7"  which of the boards' binaries to build and to compare under emulation; none when it is not
#                            set, because each costs another build of everything (about 10 minutes on 2 cores)
set -eu
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh
case ${SKIP_VM:-}:$(uname -m) in
    :x86_64) vm=vm ;;
    *) vm= ;;
esac
cross=${BOARDS-}
emulation=""
[ -z "$cross" ] || [ "$(uname -m)" != x86_64 ] || emulation=emulation
install_missing ffmpeg npm venv mosquitto sqlite3 $vm $emulation

step() {
    printf '\n== %s\n' "$*"
}

step formatting
cargo fmt --check
step "one build for the binary and the tests"
sh scripts/check-one-build.sh
step "library and binary with all features, against a real broker"
NEED_BROKER=1 cargo test --locked --features mqtt
step "the binary that the demo builds, without features"
cargo test --locked --test cli
step lints
cargo clippy --locked --all-targets --features mqtt -- -D warnings
cargo clippy --locked --lib --bins -- -D warnings

step "exposure of the units"
if command -v systemd-analyze >/dev/null; then deploy/check.sh; else echo "left out: there is no systemd-analyze here"; fi

case ${SKIP_VM:-}:${MERCAM_OFFLINE:-}:$(uname -m) in
    1:*) step "camera of a real kernel: LEFT OUT, as asked (SKIP_VM=1)" ;;
    *:1:*) step "camera of a real kernel: LEFT OUT, it needs Debian's kernel (MERCAM_OFFLINE=1)" ;;
    *:x86_64)
        step "camera of a real kernel, faults, and a film through camera, UART and host, in an emulated machine"
        cross/vm/run.sh x86_64 target/debug/mercam
        ;;
    *) step "camera of a real kernel: LEFT OUT on $(uname -m)" ;;
esac

case ${SKIP_TRAINING:-}:$(uname -m) in
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

case ${cross:-none}:${MERCAM_OFFLINE:-}:$(uname -m) in
    none:*) step "the boards' binaries: LEFT OUT, BOARDS names none" ;;
    *:1:*) step "the boards' binaries: LEFT OUT, their tools come from the network (MERCAM_OFFLINE=1)" ;;
    *:x86_64)
        step "the boards' binaries ($cross), their events under emulation beside this machine's"
        result=0
        # shellcheck disable=SC2086 # a list
        MERCAM=target/debug/mercam cross/check.sh $cross || result=$?
        case $result in
            0) ;;
            69) step "the boards' binaries: LEFT OUT, the lines above say what is missing" ;;
            *) exit $result ;;
        esac
        ;;
    *) step "the boards' binaries: LEFT OUT on $(uname -m), they are cross-built on x86-64" ;;
esac

#!/bin/sh
# Cross-builds the binary that ships, for a board, on any Linux machine with rustup and Python. Needs no root.
#
#   cross/build.sh aarch64         Raspberry Pi 3, 4, 5, Zero 2 (64-bit), Jetson Nano, Xavier, Orin
#   cross/build.sh armv7           32-bit Raspberry Pi OS
#   cross/build.sh x86_64          a PC or a kiosk board with an Intel or AMD processor
#   cross/build.sh aarch64-musl    any 64-bit ARM Linux, even without a C library: static
#
#   CROSS_PROFILE=ci-cross   cargo's profile; `release` otherwise. ci-cross is quick to build, and slow
#
# Further arguments go to cargo. The feature `mqtt` is in, as in the Debian package. The C library's floor is glibc 2.27
# (JetPack 4, Debian 10 and later); the script checks it in the result. The linker and the C headers are zig's, which
# comes, with libclang, as a Python package into cross/.venv.
set -eu
cd "$(dirname "$0")/.."
floor=2.27

profile=${CROSS_PROFILE:-release}

# headers: zig's C library of the target and of its family; linux: its kernel headers
libc=generic-glibc
case ${1:-} in
    aarch64) target=aarch64-unknown-linux-gnu headers=aarch64-linux-gnu linux=aarch64-linux-any ;;
    armv7) target=armv7-unknown-linux-gnueabihf headers=arm-linux-gnu linux=arm-linux-any ;;
    x86_64) target=x86_64-unknown-linux-gnu headers=x86-linux-gnu linux=x86-linux-any ;;
    aarch64-musl)
        target=aarch64-unknown-linux-musl headers=aarch64-linux-musl linux=aarch64-linux-any
        libc=generic-musl floor=""
        ;;
    *)
        sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
shift

rustup target add "$target" || {
    echo "cross/build.sh: the standard library for $target comes from the Rust distribution server, which cannot be" \
        "reached; without it there is no cross-build" >&2
    exit 69
}
tools=cross/.venv
[ -x $tools/bin/cargo-zigbuild ] || {
    python3 -m venv $tools || {
        echo "cross/build.sh: Python's venv is missing; the mend: sudo apt-get install python3-venv" >&2
        exit 69
    }
    $tools/bin/python -m pip install --quiet --requirement cross/requirements.txt
}
packages=$($tools/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
PATH=$PWD/$tools/bin:$PATH
LIBCLANG_PATH=$packages/clang/native
export PATH LIBCLANG_PATH

# v4l2-sys-mit reads the kernel's videodev2.h when it is built. libclang knows no sysroot of the target and its Python
# package has no headers of its own, so it gets zig's: compiler, C library, kernel of the target, kernel of all. bindgen
# looks for the variable with the target's dashes first, where cargo-zigbuild sets its own; a shell cannot name such a
# variable, env can.
zig=$packages/ziglang/lib
arguments="--target=$target -nostdinc -isystem $zig/include"
for directory in "$headers" "$libc" "$linux" any-linux-any; do
    arguments="$arguments -isystem $zig/libc/include/$directory"
done
env "BINDGEN_EXTRA_CLANG_ARGS_$target=$arguments" \
    cargo zigbuild --locked --profile "$profile" --bin mercam --features mqtt --target "$target${floor:+.$floor}" "$@"

binary=${CARGO_TARGET_DIR:-target}/$target/$profile/mercam
ls -l "$binary"
cross/check-glibc.sh "$binary" "${floor:-none}"

#!/bin/sh
# Cross-builds the binary that ships, for a board, on any Linux machine with rustup and Python. Needs no root.
#
#   cross/build.sh aarch64     Raspberry Pi 3, 4, 5, Zero 2 (64-bit), Jetson Nano, Xavier, Orin
#   cross/build.sh armv7       32-bit Raspberry Pi OS
#
# The C library's floor is glibc 2.27 (JetPack 4, Debian 10 and later); the script checks it in the result. The linker
# is zig, which comes, with libclang, as a Python package into cross/.venv.
set -eu
cd "$(dirname "$0")/.."
floor=2.27

case ${1:-} in
    aarch64) target=aarch64-unknown-linux-gnu ;;
    armv7) target=armv7-unknown-linux-gnueabihf ;;
    *)
        sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
shift

rustup target add "$target" || {
    echo "cross/build.sh: the standard library for $target comes from the Rust distribution server, which cannot be" \
        "reached; without it there is no cross-build" >&2
    exit 69
}
[ -x cross/.venv/bin/cargo-zigbuild ] || {
    python3 -m venv cross/.venv
    cross/.venv/bin/python -m pip install --quiet cargo-zigbuild==0.24.0 ziglang==0.17.1 libclang==18.1.1
}
PATH=$PWD/cross/.venv/bin:$PATH
LIBCLANG_PATH=$(ls -d "$PWD"/cross/.venv/lib/python3*/site-packages/clang/native)
export PATH LIBCLANG_PATH
cargo zigbuild --locked --release --bin mercam --target "$target.$floor" "$@"

binary=target/$target/release/mercam
needs=$(readelf -V "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
newest=$(printf '%s\n%s\n' "$needs" "GLIBC_$floor" | sort -V | tail -n 1)
if [ "$newest" != "GLIBC_$floor" ]; then
    echo "cross/build.sh: $binary needs $needs, more than the promised $floor" >&2
    exit 1
fi
ls -l "$binary"
echo "needs at most glibc $floor (newest symbol: $needs)"

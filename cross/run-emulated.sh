#!/bin/sh
# Runs a cross-built binary under user-mode emulation and compares its detections with those of this machine's binary,
# on the built-in landmark source and, when a clip is given, on its pictures.
#
#   cross/run-emulated.sh aarch64|armv7 [CLIP.y4m]
#
# Needs qemu-user-static and the target's C library (libc6-arm64-cross or libc6-armhf-cross); says what to install.
# The two binaries compute the same movement up to the last bits of float sums; the events have to be equal in kind,
# face, class and component, in time to 2 ms and in every number to one part in a hundred.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
    aarch64) target=aarch64-unknown-linux-gnu emulator=qemu-aarch64-static root=/usr/aarch64-linux-gnu cpus="cortex-a53 cortex-a72 max" library=libc6-arm64-cross ;;
    armv7) target=armv7-unknown-linux-gnueabihf emulator=qemu-arm-static root=/usr/arm-linux-gnueabihf cpus="cortex-a7 cortex-a15 max" library=libc6-armhf-cross ;;
    *)
        sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
clip=${2:-}
binary=${CARGO_TARGET_DIR:-target}/$target/release/mercam
[ -x "$binary" ] || {
    echo "$0: $binary is not there: cross/build.sh $1" >&2
    exit 69
}
if ! command -v "$emulator" >/dev/null || ! [ -d "$root" ]; then
    echo "$0: the mend: sudo apt-get install qemu-user-static $library" >&2
    exit 69
fi
native=${MERCAM:-target/debug/mercam}
[ -x "$native" ] || cargo build --locked
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# $1: name of the result; further arguments: what starts mercam
events() {
    to=$work/$1
    shift
    "$@" run --source 'synthetic:?pace=fast&seed=3' --sink stdout --duration 20s --log error >"$to.landmarks"
    [ -z "$clip" ] || "$@" run --source "y4m:$clip" --sink stdout --log error >"$to.clip"
}
events native "$native"
for cpu in $cpus; do
    printf '%s: ' "$cpu"
    events "$cpu" "$emulator" -cpu "$cpu" -L "$root" "$binary"
    for kind in landmarks ${clip:+clip}; do
        python3 cross/compare-events.py "$work/native.$kind" "$work/$cpu.$kind"
    done
done

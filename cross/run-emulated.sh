#!/bin/sh
# Runs a cross-built binary under user-mode emulation as several processors, and compares its events with those of this
# machine's binary: on the built-in landmark source and, when a clip is given, on its pictures.
#
#   cross/run-emulated.sh aarch64|armv7 [CLIP.y4m]
#
#   CROSS_SYSROOT=DIR   the C library of another system, unpacked: cross/sysroot.sh arm64 bullseye DIR
#   MERCAM=FILE         this machine's binary; target/debug/mercam (built when it is missing) otherwise
#
# Needs qemu-user-static and the target's C library, and says what to install. Between the processors the events have to
# be equal to the last bit. Between the architectures they have to be the same events at the same times with the same class,
# and no number may differ by more than a thousandth: sums of floats are taken in another order there.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
    aarch64)
        target=aarch64-unknown-linux-gnu emulator=qemu-aarch64-static root=/usr/aarch64-linux-gnu
        cpus="cortex-a53 cortex-a72 neoverse-n1 max" library=libc6-arm64-cross
        ;;
    armv7)
        target=armv7-unknown-linux-gnueabihf emulator=qemu-arm-static root=/usr/arm-linux-gnueabihf
        cpus="cortex-a7 cortex-a15 max" library=libc6-armhf-cross
        ;;
    *)
        sed -n '2,12s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
clip=${2:-}
root=${CROSS_SYSROOT:-$root}
binary=${CARGO_TARGET_DIR:-target}/$target/release/mercam
[ -x "$binary" ] || {
    echo "$0: $binary is not there: cross/build.sh $1" >&2
    exit 69
}
if ! command -v "$emulator" >/dev/null || ! [ -d "$root" ]; then
    echo "$0: no $emulator or no $root; the mend: sudo apt-get install qemu-user-static $library" >&2
    exit 69
fi
native=${MERCAM:-}
if [ -z "$native" ]; then
    cargo build --locked
    native=${CARGO_TARGET_DIR:-target}/debug/mercam
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# landmarks NAME COMMAND...; pictures NAME COMMAND...
landmarks() {
    to=$work/$1.landmarks
    shift
    "$@" run --source 'synthetic:?pace=fast&seed=3' --sink stdout --duration 20s --log error >"$to"
}
pictures() {
    to=$work/$1.pictures
    shift
    "$@" run --source "y4m:$clip" --sink stdout --log error >"$to"
}

landmarks native "$native"
first=""
for cpu in $cpus; do
    landmarks "$cpu" "$emulator" -cpu "$cpu" -L "$root" "$binary"
    if [ -z "$first" ]; then
        first=$cpu
        printf 'landmarks, %s against this machine: ' "$cpu"
        python3 cross/compare-events.py "$work/native.landmarks" "$work/$cpu.landmarks"
    else
        printf 'landmarks, %s against %s: ' "$cpu" "$first"
        python3 cross/compare-events.py --equal "$work/$first.landmarks" "$work/$cpu.landmarks"
    fi
done
[ -n "$clip" ] || exit 0
# One processor is enough for the pictures, which take a second each ten frames or so.
pictures native "$native"
pictures "$first" "$emulator" -cpu "$first" -L "$root" "$binary"
printf 'pictures, %s against this machine: ' "$first"
python3 cross/compare-events.py "$work/native.pictures" "$work/$first.pictures"

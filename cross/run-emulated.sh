#!/bin/sh
# Runs a cross-built binary under user-mode emulation as several processors, and compares its events with those of this
# machine's binary: on the built-in landmarks, on pictures of the drawn face with the networks that find it, and, when one
# is given, on a clip.
#
#   cross/run-emulated.sh aarch64|armv7|aarch64-musl [CLIP.y4m]
#
#   CROSS_SYSROOT=DIR     the C library of another system, unpacked: cross/sysroot.sh arm64 bullseye DIR
#   CROSS_PROFILE=NAME    cargo's profile of the binary, as for cross/build.sh; `release` otherwise
#   CROSS_BINARY=FILE     another binary altogether
#   CROSS_PROCESSORS=few  fewer processors: the oldest, one with dot-product, and one without NEON where there is such
#   MERCAM=FILE           this machine's binary; target/debug/mercam (built when it is missing) otherwise
#
# Needs qemu-user-static and the target's C library, and says what to install. Between the processors the events have to
# be equal to the last bit. Between the architectures they have to be the same events with the same class, times may differ by
# a millisecond and no other number by more than a thousandth: sums of floats are taken in another order there.
set -eu
cd "$(dirname "$0")/.."
# A line for each processor: the emulator's name of it, what it has to find (`mercam check`), and what tract is told. The
# emulated program reads this machine's /proc/cpuinfo, so the kernels that a board takes by the core's number have to be
# asked for: TRACT_CPU_AARCH64_OVERRIDE_CPU_PART.
part=TRACT_CPU_AARCH64_OVERRIDE_CPU_PART
arm64="cortex-a53 aarch64 $part=0xd03
neoverse-n1 aarch64,dotprod $part=0xd0c"
case ${1:-}:${CROSS_PROCESSORS:-all} in
    aarch64*:all)
        arm64="$arm64
cortex-a53 aarch64
cortex-a72 aarch64 $part=0xd08
cortex-a76 aarch64,dotprod
neoverse-n1 aarch64,fp16,dotprod $part=0xd05
max aarch64,dotprod,sve2"
        ;;
esac
case ${1:-} in
    aarch64 | aarch64-musl)
        target=aarch64-unknown-linux-gnu emulator=qemu-aarch64-static root=/usr/aarch64-linux-gnu
        library=libc6-arm64-cross processors=$arm64
        [ "$1" = aarch64 ] || target=aarch64-unknown-linux-musl root=/
        ;;
    armv7)
        target=armv7-unknown-linux-gnueabihf emulator=qemu-arm-static root=/usr/arm-linux-gnueabihf
        library=libc6-armhf-cross
        processors="cortex-a7 arm,neon
cortex-a15 arm TRACT_CPU_ARM32_NEON=0"
        [ "${CROSS_PROCESSORS:-all}" = few ] || processors="$processors
cortex-a9 arm,neon
cortex-a15 arm,neon
max arm,neon"
        ;;
    *)
        sed -n '2,17s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
clip=${2:-}
root=${CROSS_SYSROOT:-$root}
binary=${CROSS_BINARY:-${CARGO_TARGET_DIR:-target}/$target/${CROSS_PROFILE:-release}/mercam}
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
    native=target/debug/mercam
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A source of every station of the line. 20 s of landmarks; 3 s of pictures with two movements in them, small so that the
# emulator is done with them in a minute.
landmarks='synthetic:?pace=fast&seed=3'
drawn='synthetic:?render=pixels&pace=fast&seed=2&fps=60&size=320x240&iod=90&lead=1000&gap_min=300&gap_max=600&macros=0&blinks=false'
# events NAME SOURCE DURATION COMMAND...
events() {
    to=$work/$1 source=$2 duration=$3
    shift 3
    "$@" run --source "$source" --sink stdout ${duration:+--duration "$duration"} --log error >"$to"
}
# compare EXPECTED FOUND TEXT [--equal]
compare() {
    printf '%s: ' "$3"
    python3 cross/compare-events.py ${4:+"$4"} "$work/$1" "$work/$2"
}

events native "$landmarks" 20s "$native"
number=0
echo "$processors" >"$work/processors"
while read -r cpu has told; do
    number=$((number + 1))
    emulated="env $told $emulator -cpu $cpu -L $root $binary"
    # shellcheck disable=SC2086 # a command
    found=$($emulated check --source synthetic: --log error </dev/null | sed -n 's/^processor  *//p')
    case $found in
        *"($has)"*) ;;
        *)
            echo "$0: as $cpu it should find $has: $found" >&2
            exit 1
            ;;
    esac
    echo "$cpu${told:+, $told}: $found"
    # shellcheck disable=SC2086
    events "$number" "$landmarks" 20s $emulated </dev/null
    if [ $number = 1 ]; then
        first=$emulated
        compare native 1 "  landmarks against this machine"
    else
        compare 1 $number "  landmarks against the first" --equal
    fi
done <"$work/processors"

# One processor is enough for the pictures, which take the emulator long.
cache=${MERCAM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mercam}/nets
if [ -n "$clip" ] || [ -e "$cache/face_mesh_v1_2019.onnx" ]; then
    events native.drawn "$drawn" 3s "$native"
    # shellcheck disable=SC2086
    events drawn "$drawn" 3s $first
    compare native.drawn drawn "drawn face against this machine"
else
    echo "drawn face: LEFT OUT, no face networks in $cache: mercam models fetch"
fi
[ -n "$clip" ] || exit 0
events native.clip "y4m:$clip" "" "$native"
# shellcheck disable=SC2086
events clip "y4m:$clip" "" $first
compare native.clip clip "$clip against this machine"

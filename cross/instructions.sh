#!/bin/sh
# Counts the instructions that a frame costs a board, with a plugin of the emulator: two runs of `mercam bench`, the
# difference divided by the frames. Threads do not matter to the count, nor does what else this machine does.
#
#   cross/instructions.sh aarch64|armv7 CLIP.y4m [FRAMES]    FRAMES: 300, beside the 30 of the shorter run
#
#   CROSS_BINARY=FILE, CROSS_PROFILE, CROSS_SYSROOT   as for cross/run-emulated.sh
#   CROSS_PROCESSOR=NAME                              cortex-a72, cortex-a7 otherwise
#
# Needs qemu-user (the static emulator loads no plugins), a C compiler and the target's C library.
set -eu
cd "$(dirname "$0")/.."
case ${1:-}${2:+ with a clip} in
    "aarch64 with a clip")
        target=aarch64-unknown-linux-gnu emulator=qemu-aarch64 root=/usr/aarch64-linux-gnu cpu=cortex-a72
        library=libc6-arm64-cross
        ;;
    "armv7 with a clip")
        target=armv7-unknown-linux-gnueabihf emulator=qemu-arm root=/usr/arm-linux-gnueabihf cpu=cortex-a7
        library=libc6-armhf-cross
        ;;
    *)
        sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
source=y4m:$2 frames=${3:-300}
root=${CROSS_SYSROOT:-$root} cpu=${CROSS_PROCESSOR:-$cpu}
binary=${CROSS_BINARY:-${CARGO_TARGET_DIR:-target}/$target/${CROSS_PROFILE:-release}/mercam}
if ! command -v $emulator >/dev/null || ! command -v cc >/dev/null || ! [ -d "$root" ]; then
    echo "$0: the mend: sudo apt-get install qemu-user gcc libc6-dev $library" >&2
    exit 69
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O2 -shared -fPIC -o "$work/count.so" cross/count/instructions.c
# count FRAMES: the instructions of a run with so many frames
count() {
    $emulator -cpu "$cpu" -L "$root" -plugin "$work/count.so" -d plugin -D "$work/counted" \
        "$binary" bench --source "$source" --frames "$1" --warm-up 0 --json --log error >"$work/report"
    sed -n 's/^instructions //p' "$work/counted"
}
few=$(count 30)
many=$(count $((30 + frames)))
python3 - "$few" "$many" "$frames" "$work/report" <<'PYTHON'
import json, sys
few, many, frames = (int(argument) for argument in sys.argv[1:4])
report = json.load(open(sys.argv[4]))
print(f"{report['source']}: {(many - few) / frames / 1e6:.2f} million instructions per frame ({frames} frames)")
for work in report["work"]:
    print("  " + " ".join(f"{key} {value}" for key, value in work.items()))
PYTHON

#!/bin/bash
# The V4L2 test machine: boots a Debian kernel under qemu-system, without KVM, and runs the real mercam binary in it.
#   faults  against the kernel's virtual camera (vivid): formats, rates, then one injected fault after the other
#   line    a film of a face goes in through the kernel's loopback camera, and detections come out over an emulated UART
#           into `mercam host` on this side
#
# Usage: cross/vm/run.sh ARCH BINARY [faults|line]      both when neither is named; they run at the same time
#   ARCH    x86_64, aarch64 or armv7; a compiler for it makes the kernel module and the small tool that injects the faults
#   BINARY  mercam, built for it
#   MERCAM_HOST=FILE         mercam for this machine (default: BINARY if it runs here, else target/debug/mercam)
#   MERCAM_RENEW_FAULTS=1    write the tables into docs/reference/faults.md
# The face networks are those of the cache (mercam models fetch). Kernels stay in it too, 400 MB for each ARCH.
# Needs: qemu-system-x86 or qemu-system-arm, cpio, binutils, bc, xz-utils, make, a C compiler, ffmpeg. No root.
# Time in the machine is counted in its instructions (icount), so a busy host makes the test slow, not wrong.
set -eu
usage="usage: cross/vm/run.sh ARCH BINARY [faults|line]"
arch=${1:?"$usage"}
binary=${2:?"$usage"}
which=${3:-both}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
nets=${MERCAM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mercam}/nets
ARCH=$arch
. "$here/kernel.sh"
command -v "${CROSS}gcc" > /dev/null || { echo "missing ${CROSS}gcc" >&2; exit 69; }
host=${MERCAM_HOST:-$binary}
[ -n "${MERCAM_HOST:-}" ] || "$host" --version > /dev/null 2>&1 || host=$root/target/debug/mercam
"$host" --version > /dev/null || { echo "$host does not run here: MERCAM_HOST=FILE" >&2; exit 69; }
for net in blazeface_short face_mesh_v1_2019; do
  [ -e "$nets/$net.onnx" ] || "$host" models fetch
  files="${files:-} $nets/$net.onnx $nets/$net.json"
done

work=$(mktemp -d)
jobs_of_ours=""
trap '[ -z "$jobs_of_ours" ] || kill $jobs_of_ours 2> /dev/null; rm -rf "$work"' EXIT
"${CROSS}gcc" -O2 -static -o "$work/vcam" "$here/vcam.c"
cp "$binary" "$work/mercam"
"${CROSS}strip" "$work/mercam" # debugging symbols would only be memory of the machine
fetch_kernel
bad=0

faults() { # idle time is skipped
  VIVID_OPTS="n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0" SMP=1 MEM=1024 TIMEOUT=${TIMEOUT:-600} \
    QEMU_EXTRA="-icount shift=0,sleep=off" FILES="$here/common.sh $work/vcam$files" SCRIPT="$here/faults.sh" \
    "$here/boot.sh" "$arch" "$work/mercam"
}

line() { # idle time is real, because the host's side is
  local module
  module=$("$here/loopback.sh" "$arch")
  "$host" synth --out "$work/film.y4m" --fps 30 --duration 9s --seed 103 --set width=320 --set height=240 --set iod=80 \
    --set script.lead_ms=2500 --set script.gap_min_ms=800 --set script.gap_max_ms=1200
  ffmpeg -v error -nostdin -i "$work/film.y4m" -f rawvideo -pix_fmt gray "$work/film.raw"
  ffmpeg -v error -nostdin -i "$work/film.y4m" -t 2 -c:v mjpeg -q:v 3 -f mjpeg "$work/film.mjpg"
  (
    for _ in $(seq 600); do [ ! -e "$work/uart" ] || break; sleep 0.1; done
    stty -F "$work/uart" raw -echo
    exec "$host" host --listen "serial:$work/uart?format=binary&baud=115200" --dir "$work/events" --log warn
  ) &
  local receiver=$! rc=0
  MODULES=v4l2loopback V4L2LOOPBACK_OPTS=max_buffers=32 XMODS=$module SMP=1 MEM=1024 TIMEOUT=${TIMEOUT:-600} \
    QEMU_EXTRA="-icount shift=0,sleep=on" UART2="$work/uart" FILES="$here/common.sh $work/vcam $work/film.raw $work/film.mjpg$files" \
    SCRIPT="$here/line.sh" "$here/boot.sh" "$arch" "$work/mercam" > "$work/vm" || rc=$?
  cat "$work/vm"
  kill "$receiver" 2> /dev/null || true
  wait "$receiver" || true
  [ $rc = 0 ] || return $rc
  "$host" host stats --dir "$work/events"
  "$host" host export --dir "$work/events" --kind confirmed --format csv > "$work/confirmed.csv"
  cut -c1-160 "$work/confirmed.csv"
  local sent arrived
  sent=$(sed -n 's/^sent: \([0-9]*\) .*/\1/p' "$work/vm")
  arrived=$(($(wc -l < "$work/confirmed.csv") - 1))
  echo "$arrived confirmed detections arrived over the UART, $sent were sent"
  [ "$arrived" -ge 1 ] && [ "$arrived" = "$sent" ]
}

# Puts the rows that the machine printed into the page.
renew() {
  local page=$root/docs/reference/faults.md
  {
    sed '/<!-- machine -->/q' "$page"
    echo "On $arch, Linux $(sed -n '1s/ .*//p' "$work/faults.out"):"
    echo
    echo "| fault | how it is made | what the log says | frames analysed | frames lost |"
    echo "|---|---|---|---|---|"
    awk -F '|' '/^\|/ && NF == 7' "$work/faults.out"
    echo
    echo "| at the start | what the program says | then |"
    echo "|---|---|---|"
    awk -F '|' '/^\|/ && NF == 5' "$work/faults.out"
    sed -n '/<!-- end of machine -->/,$p' "$page"
  } > "$work/page"
  cp "$work/page" "$page"
}

begun=$(date +%s)
if [ "$which" != faults ]; then
  line > "$work/line.out" 2>&1 &
  jobs_of_ours=$!
fi
if [ "$which" != line ]; then
  faults > >(tee "$work/faults.out") || { echo "FAILED: faults" >&2; bad=1; }
fi
if [ -n "$jobs_of_ours" ]; then
  wait "$jobs_of_ours" || { echo "FAILED: line" >&2; bad=1; }
  jobs_of_ours=""
  echo "## line: film, loopback camera, mercam, UART, host"
  cat "$work/line.out"
fi
if [ -n "${MERCAM_RENEW_FAULTS:-}" ] && [ -s "$work/faults.out" ] && [ $bad = 0 ]; then renew; fi
echo "$arch: $((($(date +%s) - begun))) s in all"
exit $bad

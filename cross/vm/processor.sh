#!/bin/bash
# What mercam finds out about an emulated board's processor, with the kernel's own /proc/cpuinfo and with that file hidden
# (as `ProcSubset=pid` in a unit does): the kernels that inference takes have to be the same. Then the memory that the
# line takes, as the board's kernel counts it, on landmarks and on a clip.
#
# Usage: cross/vm/processor.sh ARCH BINARY CLIP.y4m
#   ARCH    aarch64 or armv7; CPU=cortex-a53 and so on is another processor. A binary for armv7 also runs in aarch64.
#   CLIP    short, it has to fit into the machine's memory; the face networks come from the cache: mercam models fetch
# Needs what cross/vm/run.sh needs, but no compiler.
set -eu
arch=${1:?"usage: cross/vm/processor.sh ARCH BINARY CLIP.y4m"}
binary=${2:?"usage: cross/vm/processor.sh ARCH BINARY CLIP.y4m"}
clip=${3:?"usage: cross/vm/processor.sh ARCH BINARY CLIP.y4m"}
here=$(cd "$(dirname "$0")" && pwd)
nets=${MERCAM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mercam}/nets
for net in blazeface_short face_mesh_v1_2019; do
  [ -e "$nets/$net.onnx" ] || { echo "$nets/$net.onnx is missing: mercam models fetch" >&2; exit 69; }
  files="${files:-} $nets/$net.onnx $nets/$net.json"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$clip" "$work/clip.y4m"
cat > "$work/inside.sh" << 'INSIDE'
mkdir -p /tmp/cache && ln -s /data /tmp/cache/nets
export MERCAM_CACHE=/tmp/cache MERCAM_OFFLINE=1
processor() { /bin/app check --source synthetic: --log info 2>&1 | grep -E '^processor |tract was told' | sed 's/^.*  *\(tract was\)/\1/'; }
echo "cpuinfo: $(grep -E '^(Features|CPU part)' /proc/cpuinfo | sort -u | tr -s '\t ' ' ' | tr '\n' ';')"
processor > /tmp/seen
cat /tmp/seen
mount -t proc -o subset=pid proc /proc
[ ! -e /proc/cpuinfo ] && echo "with /proc/cpuinfo hidden:" || echo "cpuinfo is still there"
processor > /tmp/hidden
cat /tmp/hidden
umount /proc
rc=0
[ "$(grep -o '(.*' /tmp/seen)" = "$(grep '^processor' /tmp/hidden | grep -o '(.*')" ] || { echo "the kernels differ"; rc=1; }
for source in 'synthetic:?pace=fast&seed=3' y4m:/data/clip.y4m; do
  echo "$source: $(/bin/app bench --source "$source" --warm-up 4 --json --log error 2>/dev/null | grep -o '"frames":[0-9]*\|"resident_kib.*' | tr '\n' ' ')"
done
exit $rc
INSIDE
MODULES="" MEM=${MEM:-512} TIMEOUT=${TIMEOUT:-600} FILES="$work/clip.y4m$files" SCRIPT="$work/inside.sh" \
  "$here/boot.sh" "$arch" "$binary"

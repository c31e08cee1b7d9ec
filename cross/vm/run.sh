#!/bin/bash
# The V4L2 test machine: boots a Debian kernel with a virtual camera (vivid) under qemu-system, without KVM, and runs the
# real mercam binary on /dev/video0 in it: formats and rates, then one injected fault after the other.
#
# Usage: cross/vm/run.sh ARCH BINARY
#   ARCH    x86_64, aarch64 or armv7; a compiler for it makes the small tool that injects the faults
#   BINARY  mercam, built for it. Its face networks come from the cache: mercam models fetch
# Needs: qemu-system-x86 or qemu-system-arm, cpio, binutils, bc, xz-utils, a C compiler. No root.
set -eu
arch=${1:?"usage: cross/vm/run.sh ARCH BINARY"}
binary=${2:?"usage: cross/vm/run.sh ARCH BINARY"}
here=$(cd "$(dirname "$0")" && pwd)
nets=${MERCAM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mercam}/nets
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case $arch in
  x86_64) cc=gcc; strip=strip ;;
  aarch64) cc=aarch64-linux-gnu-gcc; strip=aarch64-linux-gnu-strip ;;
  armv7) cc=arm-linux-gnueabihf-gcc; strip=arm-linux-gnueabihf-strip ;;
  *) echo "unknown ARCH $arch: x86_64, aarch64 or armv7" >&2; exit 2 ;;
esac
command -v "$cc" > /dev/null || { echo "missing $cc" >&2; exit 69; }
for net in blazeface_short face_mesh_v1_2019; do
  [ -e "$nets/$net.onnx" ] || { echo "$nets/$net.onnx is missing: mercam models fetch" >&2; exit 69; }
  files="${files:-} $nets/$net.onnx $nets/$net.json"
done
"$cc" -O2 -static -o "$work/vcam" "$here/vcam.c"
cp "$binary" "$work/mercam"
"$strip" "$work/mercam" # debugging symbols would only be memory of the machine

VIVID_OPTS="n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0" MEM=1024 TIMEOUT=${TIMEOUT:-600} \
  FILES="$work/vcam$files" SCRIPT="$here/inside.sh" "$here/boot.sh" "$arch" "$work/mercam"

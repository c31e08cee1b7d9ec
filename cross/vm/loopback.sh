#!/bin/bash
# loopback.sh ARCH: builds v4l2loopback for the kernel that boot.sh boots and prints the folder that holds it (for XMODS).
# Frames written to its device by one program are read from it by another one, each once and in order.
# Needs make and a compiler for ARCH; headers and source come as Debian packages. Built once, 10 to 20 s.
set -eu
ARCH=${1:?"usage: cross/vm/loopback.sh ARCH"}
. "$(cd "$(dirname "$0")" && pwd)/kernel.sh"
[ "$KVER" = 6.1 ] || { echo "v4l2loopback was tried with KVER=6.1 only" >&2; exit 2; }
for tool in make "${CROSS}gcc" "${CROSS}strip"; do
  command -v "$tool" > /dev/null || { echo "missing $tool" >&2; exit 69; }
done
fetch_kernel
release=$(ls "$KERNEL/root/lib/modules")
out=$CACHE/loopback-$release
if [ ! -e "$out/v4l2loopback.ko" ]; then
  work=$CACHE/loopback-work-$DEB
  host=$(dpkg --print-architecture)
  if [ "$host" = "$DEB" ]; then private_apt "$work" "$host"; else private_apt "$work" "$host" "$DEB"; fi
  (cd "$work" && apt-get $APT download "linux-headers-$release:$DEB" "linux-headers-${release%-"$FLAVOUR"}-common" \
    "linux-kbuild-$KVER:$host" v4l2loopback-dkms) >&2 ||
    { echo "the archive has no headers for $release any more: remove $KERNEL, so that a newer kernel is fetched" >&2; exit 69; }
  for d in "$work"/*.deb; do dpkg -x "$d" "$work/root"; done
  headers=$work/root/usr/src/linux-headers-$release
  sed -i "s#/usr/src#$work/root/usr/src#" "$headers/Makefile"
  mkdir -p "$work/module" "$out"
  cp "$work"/root/usr/src/v4l2loopback-*/* "$work/module/" 2> /dev/null || true
  make -s -C "$headers" M="$work/module" ARCH="$KARCH" CROSS_COMPILE="$CROSS" CC="${CROSS}gcc" modules >&2
  "${CROSS}strip" -g "$work/module/v4l2loopback.ko"
  mv "$work/module/v4l2loopback.ko" "$out/"
  rm -rf "$work"
fi
echo "$out"

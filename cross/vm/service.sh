#!/bin/bash
# The unit under a real systemd: boots a small Debian with the unit, the udev rule and the real binary in the machine of
# boot.sh, with the kernel's virtual camera, and looks at what a kiosk lives on: readiness, status, reload, the watchdog,
# exit codes that are not restarted, the sandbox, the light.
#
# Usage: cross/vm/service.sh BINARY       BINARY: mercam for this machine (x86_64)
# Needs what run.sh needs, and mmdebstrap; root or unprivileged user namespaces. The Debian is kept in the cache (180 MB).
set -eu
binary=${1:?"usage: cross/vm/service.sh BINARY"}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
nets=${MERCAM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mercam}/nets
ARCH=x86_64
. "$here/kernel.sh"
[ "$(uname -m)" = $ARCH ] || { echo "this test is for x86_64 machines" >&2; exit 69; }
command -v mmdebstrap > /dev/null || { echo "missing mmdebstrap (apt-get install mmdebstrap)" >&2; exit 69; }
debian=$CACHE/systemd-$DEB
if [ ! -e "$debian/ok" ]; then
  rm -rf "$debian"
  keep_out=""
  for folder in doc man locale i18n; do keep_out="$keep_out --dpkgopt=path-exclude=/usr/share/$folder/*"; done
  mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,udev,dbus,grep,procps --architectures="$DEB" $keep_out \
    "$SUITE" "$debian" "deb $(debian_mirror) $SUITE main"
  rm -rf "$debian"/var/cache/apt "$debian"/var/lib/apt/lists
  touch "$debian/ok"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
os=$work/os
cp -a "$debian" "$os"
install -D -m 755 "$binary" "$os/usr/bin/mercam"
"${CROSS}strip" "$os/usr/bin/mercam"
install -D -m 644 "$root/deploy/mercam.service" "$os/lib/systemd/system/mercam.service"
install -D -m 644 "$root/deploy/60-mercam.rules" "$os/lib/udev/rules.d/60-mercam.rules"
install -D -m 644 "$root/deploy/indicator.conf" "$os/usr/share/doc/mercam/indicator.conf"
mkdir -p "$os/var/cache/mercam/nets" "$os/etc/mercam"
cp "$nets"/*.onnx "$nets"/*.json "$os/var/cache/mercam/nets/"
cat > "$os/etc/mercam/mercam.toml" << 'T'
source = "v4l2:/dev/video0?format=YUYV&size=320x180&fps=30"
[pipeline]
status_interval_s = 1.0
[face.tracking]
search_ms = 3000.0
[[sink]]
kind = "file"
path = "events.jsonl"
T
gcc -O2 -static -o "$os/usr/bin/vcam" "$here/vcam.c"
install -m 755 "$here/service-inside.sh" "$os/usr/bin/service-inside"
cat > "$os/etc/systemd/system/test.service" << 'U'
[Unit]
Description=the test
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo @@START; bash /usr/bin/service-inside; rc=$?; echo @@END; read up x < /proc/uptime; echo "@@DONE $up"; echo "@@RC=$rc"; sleep 0.5; poweroff -f'
StandardOutput=tty
StandardError=inherit
TTYPath=/dev/console
TimeoutStartSec=infinity
[Install]
WantedBy=graphical.target
U
mkdir -p "$os/etc/systemd/system/multi-user.target.wants"
ln -s ../test.service "$os/etc/systemd/system/multi-user.target.wants/test.service"
sed -i 's/^After=.*/After=basic.target systemd-udev-settle.service/' "$os/etc/systemd/system/test.service"
for unit in getty.target console-getty.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer; do
  ln -sf /dev/null "$os/etc/systemd/system/$unit"
done
gcc -O2 -static -o "$work/vcam" "$here/vcam.c"
VIVID_OPTS="n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0" SMP=1 MEM=2048 TIMEOUT=${TIMEOUT:-900} \
  QEMU_EXTRA="-icount shift=0,sleep=off" APPEND="systemd.show_status=no" ROOTFS="$os" "$here/boot.sh" $ARCH "$work/vcam"

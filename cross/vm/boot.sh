#!/bin/bash
# boot.sh ARCH BINARY [ARGS...]: the machine itself; run.sh is the test.
#   ARCH = x86_64 | aarch64 | armv7 (kernel and VM; a 32-bit arm BINARY may also be given to an aarch64 VM)
# Boots a Debian kernel with a busybox initramfs under qemu-system, loads MODULES (default vivid),
# runs BINARY ARGS in the VM, prints what it printed, exits with its status (124: time-out, 125: the VM failed).
#
# Environment
#   TIMEOUT=300        seconds for qemu in all
#   KVER=6.1 | 6.12    kernel: bookworm | bookworm-backports
#   MODULES="vivid"    kernel modules, dependencies are found; options of module M in M_OPTS (VIVID_OPTS="n_devs=1 ...")
#   XMODS=dir          folder with out-of-tree modules (*.ko), searched too
#   SCRIPT=file        run this sh script in the VM instead of `BINARY ARGS` (BINARY is still /bin/app)
#   FILES="a b"        host files, copied to /data in the VM
#   MEM=512 SMP=2 CPU=... ACCEL=tcg|kvm   APPEND="kernel arguments"   VERBOSE=1 kernel log on the console
#   UART2=path         second UART (VM: /dev/ttyS1 on x86_64, /dev/ttyS0 on arm); the host end is a pseudo-terminal, and
#                      `path` a link to it
#   ROOTFS=dir         start from this root file system; with systemd in it, that is PID 1 and a unit has to print
#                      @@START ... @@END, @@DONE uptime, @@RC=n on the console and power off
#   SYSROOT=dir        extra folder with the libraries of a dynamic BINARY
#   QEMU_EXTRA="..."   more qemu options            QWRAP="time -v"   prefix command for qemu
#   CACHE=dir MIRROR=URL   see kernel.sh
set -eu
[ $# -ge 2 ] || { sed -n '2,5p' "$0" >&2; exit 2; }
ARCH=$1; BIN=$2; shift 2
HERE=$(cd "$(dirname "$0")" && pwd); TIMEOUT=${TIMEOUT:-300}
. "$HERE/kernel.sh"
case $ARCH in
 x86_64)  Q=qemu-system-x86_64;  CON=ttyS0;   M="-M q35"; DCPU=max;;
 aarch64) Q=qemu-system-aarch64; CON=ttyAMA0; M="-M virt,dtb-randomness=off"; DCPU=cortex-a72;;
 armv7)   Q=qemu-system-arm;     CON=ttyAMA0; M="-M virt,highmem=off,dtb-randomness=off"; DCPU=cortex-a15;;
esac
for t in $Q cpio readelf bc xz; do command -v $t >/dev/null || { echo "missing $t (apt-get install qemu-system-x86 qemu-system-arm cpio binutils bc xz-utils)" >&2; exit 125; }; done
now() { date +%s.%N; }
T0=$(now)

# ---- 1. kernel and busybox, once
fetch_kernel
C=$KERNEL
K=$(ls "$C"/root/boot/vmlinuz-*); MODV=$(ls "$C/root/lib/modules"); MD=$C/root/lib/modules/$MODV/kernel
T1=$(now)

# ---- 2. initramfs
W=$(mktemp -d); trap 'rm -rf "$W"' EXIT
R=$W/root; mkdir -p "$R"; [ -z "${ROOTFS:-}" ] || cp -a "$ROOTFS"/. "$R/"
mkdir -p "$R"/{bin,m,dev,proc,sys,tmp,data,lib,lib64,run,etc}
cp "$C/root/bin/busybox" "$R/bin/"
ORDER=
addmod() { # dependencies first
  local n=${1//-/_}; case " $ORDER " in *" $n "*) return;; esac
  local f; f=$(find "$MD" ${XMODS:-} -name "${n//_/[-_]}.ko*" -print -quit)
  [ -n "$f" ] || { grep -q "/${n//_/[-_]}.ko" "$C/root/lib/modules/$MODV/modules.builtin" && return; echo "no module $n" >&2; exit 125; }
  case $f in *.xz) xz -dc "$f" > "$R/m/$n.ko";; *) cp "$f" "$R/m/$n.ko";; esac
  local d; d=$(grep -aoz 'depends=[^[:cntrl:]]*' "$R/m/$n.ko" | tr '\0' '\n' | sed -n '1s/depends=//p')
  for d in ${d//,/ }; do addmod $d; done
  ORDER="$ORDER $n"
}
for m in ${MODULES-vivid}; do addmod $m; done
: > "$R/etc/modules"
for m in $ORDER; do o=$(echo ${m}_OPTS | tr a-z A-Z); echo "$m ${!o-}" >> "$R/etc/modules"; done
cp "$BIN" "$R/bin/app"; chmod 755 "$R/bin/app"
# libraries of a dynamic BINARY, from the cross sysroot
NEED() { readelf -d $1 2>/dev/null | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p'; readelf -l $1 2>/dev/null | sed -n 's/.*interpreter: \(.*\)\]/\1/p'; }
SR="${SYSROOT:-} /usr/$TRIPLET/lib /lib/$TRIPLET /usr/lib/$TRIPLET /lib64"
case $(readelf -h "$BIN" | sed -n 's/ *Machine: *//p')/$ARCH in ARM/aarch64) SR="${SYSROOT:-} /usr/arm-linux-gnueabihf/lib";; esac
todo=$([ -n "${ROOTFS:-}" ] || NEED "$BIN"); done_=
while [ -n "$todo" ]; do nx=
  for l in $todo; do b=$(basename $l); case " $done_ " in *" $b "*) continue;; esac; done_="$done_ $b"
    for s in $SR; do [ -e $s/$b ] && { cp -L $s/$b "$R/lib/"; nx="$nx $(NEED $s/$b)"; break; }; done
    [ -e "$R/lib/$b" ] || { echo "missing library $b" >&2; exit 125; }
  done; todo=$nx; done
[ $ARCH = x86_64 ] && cp "$R/lib/ld-linux-x86-64.so.2" "$R/lib64/" 2>/dev/null || true
for f in ${FILES:-}; do cp "$f" "$R/data/"; done
if [ -n "${SCRIPT:-}" ]; then cp "$SCRIPT" "$R/bin/run"; else { printf 'exec /bin/app'; [ $# = 0 ] || printf ' %q' "$@"; echo; } > "$R/bin/run"; fi
cat > "$R/init" <<'I'
#!/bin/busybox sh
[ -x /bin/bash ] || /bin/busybox --install -s /bin; export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/ RUST_BACKTRACE=1; [ -x /bin/bash ] || export LD_LIBRARY_PATH=/lib
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mkdir -p /dev/pts; mount -t devpts pts /dev/pts
read up x < /proc/uptime; echo "@@BOOT $up"
while read m o; do busybox insmod /m/$m.ko $o || echo "@@INSMOD $m failed"; done < /etc/modules
read up x < /proc/uptime; echo "@@MODS $up"
[ -x /lib/systemd/systemd ] && { ls /bin/run >/dev/null; exec /lib/systemd/systemd; }
echo "@@START"; sh /bin/run </dev/null; rc=$?
echo "@@END"; read up x < /proc/uptime; echo "@@DONE $up"; echo "@@RC=$rc"; sleep 0.2; busybox poweroff -f
I
chmod 755 "$R/init"
(cd "$R" && find . | cpio -o -H newc --quiet) > "$W/initrd"
T2=$(now)

# ---- 3. boot. -nodefaults: no network card at all
X=; [ $ARCH = x86_64 ] && X=no_timer_check
LL="quiet loglevel=1 $X"; [ -z "${VERBOSE:-}" ] || LL="loglevel=7 $X"
U2=; [ -z "${UART2:-}" ] || U2="-chardev pty,id=u2 -device pci-serial,chardev=u2"
# What the VM says is shown as it comes.
SHOW='s/\r//g; /^@@INSMOD/p; /^@@START/,/^@@END/{/^@@/!p}'; [ -z "${VERBOSE:-}" ] || SHOW='s/\r//gp'
if [ -n "${UART2:-}" ]; then # qemu says which pseudo-terminal it took
  (for _ in $(seq 100); do
    tty=$(cat "$W/err" "$W/out" 2>/dev/null | grep -ao '/dev/pts/[0-9]*' | head -n 1)
    [ -z "$tty" ] || { ln -sfn "$tty" "$UART2"; break; }
    sleep 0.1
  done) &
fi
set +e
timeout -k 5 $TIMEOUT ${QWRAP:-} $Q $M -accel ${ACCEL:-tcg} -cpu ${CPU:-$DCPU} -smp ${SMP:-2} -m ${MEM:-512} -nodefaults -display none -no-reboot \
  -serial stdio $U2 ${QEMU_EXTRA:-} -kernel "$K" -initrd "$W/initrd" -append "console=$CON panic=-1 $LL ${APPEND:-}" </dev/null 2>"$W/err" |
  tee "$W/out" | sed -un "$SHOW"
QRC=${PIPESTATUS[0]}; set -e
T3=$(now)
tr -d '\r' < "$W/out" > "$W/o2"
RC=$(sed -n 's/^@@RC=//p' "$W/o2"); U() { sed -n "s/^@@$1 //p" "$W/o2"; }
d1() { printf %.1f $(echo "$2-$1" | bc); }
echo "vm: $ARCH $MODV fetch+unpack $(d1 $T0 $T1)s initrd $(d1 $T1 $T2)s ($(stat -c %s "$W/initrd" | awk '{printf "%.1f",$1/1e6}') MB) boot $(U BOOT)s modules $(U MODS)s end $(U DONE)s qemu wall $(d1 $T2 $T3)s rc=${RC:-none}" >&2
[ -n "${QWRAP:-}" ] && cat "$W/err" >&2
[ -n "$RC" ] && exit $RC
[ $QRC = 124 ] && { echo "vm: time-out after ${TIMEOUT}s" >&2; tail -5 "$W/o2" >&2; exit 124; }
cat "$W/err" >&2; tail -20 "$W/o2" >&2; exit 125

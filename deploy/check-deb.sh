#!/bin/sh
# Packs a built binary, has lintian look at it, and installs, runs, upgrades and purges the package in a Debian root of its
# architecture, under emulation where that is not this machine's.
#
#   sudo deploy/check-deb.sh amd64|arm64|armhf BINARY [SUITE]     SUITE: bullseye, the oldest that Debian serves
#
#   MERCAM_HOST=FILE   a mercam that runs here and prints the manual of a foreign BINARY; target/debug/mercam otherwise
#   KEEP_DEB=DIR       puts the package there
#
# Needs root for the chroot, and: mmdebstrap, lintian, systemd (systemd-analyze), man-db; for a foreign architecture
# qemu-user-static and arch-test. Nothing is left on this machine but the emulator's registration with the kernel.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 2 ] || {
    sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
arch=$1 binary=$2 suite=${3:-bullseye}
stop() {
    echo "$0: $*" >&2
    exit 69
}
[ "$(id -u)" = 0 ] || stop "needs root"
for tool in mmdebstrap lintian systemd-analyze man; do
    command -v $tool >/dev/null || stop "$tool is missing; the mend: apt-get install mmdebstrap lintian systemd man-db"
done

# The kernel has to start the root's programs, and those that they start, through the emulator (flag F: opened now, so it
# need not exist in the root).
emulate() {
    [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    [ -e "/proc/sys/fs/binfmt_misc/qemu-$1" ] && return
    [ -e "/usr/lib/binfmt.d/qemu-$1.conf" ] || stop "the mend: apt-get install qemu-user-static arch-test"
    cat "/usr/lib/binfmt.d/qemu-$1.conf" >/proc/sys/fs/binfmt_misc/register
}
native=$(dpkg --print-architecture)
case $arch in
    "$native") ;;
    arm64) emulate aarch64 ;;
    armhf) emulate arm ;;
    *) stop "no emulation of $arch on $native" ;;
esac
if [ "$arch" != "$native" ]; then
    export MERCAM_HOST="${MERCAM_HOST:-$here/../target/debug/mercam}"
    [ -x "$MERCAM_HOST" ] || stop "$MERCAM_HOST is not there to print the manual: cargo build"
fi

work=$(mktemp -d)
root=$work/root
trap 'umount "$root/proc" 2>/dev/null || true; rm -rf "$work"' EXIT
chmod 755 "$work"

echo "== package"
# lintian wants a mail address that could exist.
export DEBEMAIL="${DEBEMAIL:-maintainer@mercam.org}"
"$here/deb.sh" "$binary" "$arch" "$work" >/dev/null
package=$(ls "$work"/mercam_*.deb)
printf '%s: %s bytes\n' "$(basename "$package")" "$(stat -c %s "$package")"
dpkg-deb --field "$package" Architecture Depends Installed-Size
[ -z "${KEEP_DEB:-}" ] || cp "$package" "$KEEP_DEB"

echo "== lintian"
# A package that no archive has asked for closes no bug; the rest has to be silent.
lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$package"

echo "== a root of $suite for $arch"
# The release's own archive only: packages of its security archive disappear when they are superseded.
mirror=$(apt-get indextargets --format '$(SITE)' | grep -v security | sort -u | head -n 1)
mmdebstrap --quiet --variant=essential --architectures="$arch" "$suite" "$root" "deb $mirror $suite main" 2>/dev/null ||
    stop "mmdebstrap could not make a root of $suite for $arch"
mount -t proc proc "$root/proc"
inside() {
    chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
}
inventory() {
    (cd "$root" && find etc usr lib var -xdev \( -type f -o -type l \) ! -path 'var/lib/dpkg/*' ! -path 'var/log/*' | sort)
}
inventory >"$work/before"

echo "== install"
cp "$package" "$root/mercam.deb"
inside dpkg --install /mercam.deb
inside dpkg --status mercam | grep -q '^Status: install ok installed$'
inside dpkg --verify mercam

echo "== run"
inside mercam --version
inside mercam check --source 'synthetic:?pace=fast' --log error
inside mercam run --source 'synthetic:?pace=fast&seed=3' --sink stdout --duration 20s --log error >"$work/events"
detections=$(grep -c '"kind":"confirmed"' "$work/events" || true)
echo "$(wc -l <"$work/events") events, $detections of them confirmed detections"
[ "$detections" -gt 0 ]
# The configuration that the package installs, which is read strictly.
inside mercam config show --config /etc/mercam/mercam.toml >/dev/null

echo "== manual, completions, unit, rule"
for page in "$root"/usr/share/man/man1/mercam*.1.gz; do
    complaints=$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings --local-file "$page" 2>&1 >/dev/null)
    [ -z "$complaints" ] || {
        echo "$page: $complaints" >&2
        exit 1
    }
done
echo "$(ls "$root"/usr/share/man/man1/mercam*.1.gz | wc -l) pages of the manual, none with a warning"
inside bash -c '. /usr/share/bash-completion/completions/mercam; complete -p mercam'
head -n 1 "$root/usr/share/zsh/vendor-completions/_mercam" | grep -q '^#compdef mercam'
grep -q '^complete -c mercam' "$root/usr/share/fish/vendor_completions.d/mercam.fish"
# There is no systemd in the root and no mercam on this machine, so this machine's systemd looks at the units with another
# program in them.
for unit in "$root"/lib/systemd/system/mercam*.service; do
    sed 's,^ExecStart=[^ ]*,ExecStart=/bin/true,' "$unit" >"$work/$(basename "$unit" | sed 's/@[.]/@test./')"
done
complaints=$(systemd-analyze --man=no verify "$work"/mercam*.service 2>&1 | grep mercam || true)
[ -z "$complaints" ] || {
    echo "$complaints" >&2
    exit 1
}
echo "systemd-analyze verify: nothing about the units of the package"

echo "== upgrade keeps what was configured, purge leaves nothing"
echo '# changed by hand' >>"$root/etc/mercam/mercam.toml"
inside dpkg --install /mercam.deb >/dev/null
grep -q 'changed by hand' "$root/etc/mercam/mercam.toml"
mkdir -p "$root/var/cache/mercam/nets" "$root/var/lib/mercam"
# What `systemctl enable mercam` does; there is no systemd in this root.
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s /lib/systemd/system/mercam.service "$root/etc/systemd/system/multi-user.target.wants/"
inside dpkg --install /mercam.deb >/dev/null
inside dpkg --remove mercam >/dev/null
[ -e "$root/etc/mercam/mercam.toml" ] && [ ! -e "$root/usr/bin/mercam" ]
inside dpkg --purge mercam >/dev/null
inventory >"$work/after"
diff "$work/before" "$work/after"
for left in /etc/mercam /var/cache/mercam /var/lib/mercam; do
    [ ! -e "$root$left" ]
done
echo "$arch on $suite: passed"

#!/bin/sh
# Makes a Debian package of a built binary, with dpkg-deb alone.
# Usage: deploy/deb.sh BINARY [ARCH] [OUTDIR]     ARCH: amd64 (default: this machine's), arm64, armhf
# DEBFULLNAME and DEBEMAIL name the maintainer, as for dpkg's own tools: lintian wants a real address.
# The manual page and the completions are printed by the program itself. For a binary that does not run here, name one
# that does: MERCAM_HOST=target/debug/mercam deploy/deb.sh target/aarch64.../release/mercam arm64
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
binary=${1:?"usage: deploy/deb.sh BINARY [ARCH] [OUTDIR]"}
arch=${2:-$(dpkg --print-architecture)}
out=${3:-.}
host=${MERCAM_HOST:-$binary}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -n 1)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
umask 022

put() { # MODE FROM TO
  mkdir -p "$root/$(dirname "$3")"
  install -m "$1" "$2" "$root/$3"
}
put 755 "$binary" usr/bin/mercam
put 644 "$here/src/config/default.toml" etc/mercam/mercam.toml
put 644 "$here/deploy/mercam.service" lib/systemd/system/mercam.service
put 644 "$here/deploy/60-mercam.rules" lib/udev/rules.d/60-mercam.rules
put 644 "$here/deploy/mercam-camera@.service" "lib/systemd/system/mercam-camera@.service"
put 755 "$here/deploy/camera-pipe" usr/lib/mercam/camera-pipe
for example in network pipe indicator; do
  put 644 "$here/deploy/$example.conf" "usr/share/doc/mercam/examples/$example.conf"
done
put 644 "$here/LIMITATIONS.md" usr/share/doc/mercam/LIMITATIONS.md
put 644 "$here/deploy/copyright" usr/share/doc/mercam/copyright
mkdir -p "$root/usr/share/man/man1" "$root/usr/share/bash-completion/completions" "$root/usr/share/zsh/vendor-completions" \
  "$root/usr/share/fish/vendor_completions.d"
"$host" man "$root/usr/share/man/man1"
gzip -9n "$root"/usr/share/man/man1/*.1
"$host" completions bash > "$root/usr/share/bash-completion/completions/mercam"
"$host" completions zsh > "$root/usr/share/zsh/vendor-completions/_mercam"
"$host" completions fish > "$root/usr/share/fish/vendor_completions.d/mercam.fish"
sed "s/@VERSION@/$version/; s/<.*>/<${DEBEMAIL:-mercam@localhost.localdomain}>/" "$here/deploy/changelog" | gzip -9n > "$root/usr/share/doc/mercam/changelog.Debian.gz"

mkdir "$root/DEBIAN"
# cargo-deb's and dpkg-shlibdeps' automatic answer is this machine's libc; what the binary needs is its newest symbol.
libc=$(readelf -V "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1 | cut -d_ -f2)
gcc=$(readelf -d "$binary" | grep -q 'libgcc_s' && echo ", libgcc-s1" || true)
cat > "$root/DEBIAN/control" << EOF
Package: mercam
Version: $version-1
Architecture: $arch
Maintainer: ${DEBFULLNAME:-mercam maintainers} <${DEBEMAIL:-mercam@localhost.localdomain}>
Section: science
Priority: optional
Installed-Size: $(du -k -s "$root" | cut -f1)
${libc:+Depends: libc6 (>= $libc)$gcc
}Recommends: udev
Description: private micro-expression sensor
 mercam watches a camera, follows the faces in it with sub-pixel precision,
 spots short facial movements, recognises each with a small graph network, and
 sends the detections with their reasons to a log, a file or a serial line.
 No picture leaves the process.
EOF
echo /etc/mercam/mercam.toml > "$root/DEBIAN/conffiles"
put 755 "$here/deploy/postinst" DEBIAN/postinst
put 755 "$here/deploy/prerm" DEBIAN/prerm
put 755 "$here/deploy/postrm" DEBIAN/postrm
(cd "$root" && find usr lib etc -type f ! -path etc/mercam/mercam.toml -print0 | sort -z | xargs -0 md5sum > DEBIAN/md5sums)
dpkg-deb --root-owner-group --build "$root" "$out/mercam_$version-1_$arch.deb"

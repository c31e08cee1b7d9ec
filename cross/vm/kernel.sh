# Sourced by boot.sh and loopback.sh: Debian's kernel for another machine, by apt with a state of its own, so that the
# host's apt and dpkg are not touched, a foreign architecture needs no dpkg --add-architecture, and nothing needs root.
#   in   ARCH; KVER=6.1 (bookworm) or 6.12 (its backports); CACHE (default: mercam-vm in the user's cache); MIRROR
CACHE=${CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mercam-vm}
KVER=${KVER:-6.1}
SUITE=bookworm
case $ARCH in
  x86_64) DEB=amd64 FLAVOUR=amd64 KARCH=x86 CROSS= TRIPLET=x86_64-linux-gnu ;;
  aarch64) DEB=arm64 FLAVOUR=arm64 KARCH=arm64 CROSS=aarch64-linux-gnu- TRIPLET=aarch64-linux-gnu ;;
  armv7) DEB=armhf FLAVOUR=armmp KARCH=arm CROSS=arm-linux-gnueabihf- TRIPLET=arm-linux-gnueabihf ;;
  *) echo "unknown ARCH $ARCH: x86_64, aarch64 or armv7" >&2; exit 2 ;;
esac
# A compiler for the machine itself needs no prefix.
[ "$(uname -m)" != "$ARCH" ] || CROSS=
KERNEL=$CACHE/$DEB-$KVER

# Address of the Debian archive.
debian_mirror() {
  local mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -E '/debian/?$' | head -n 1)}
  mirror=${mirror:-$(sed -n 's/^\(URIs:\|deb\) *\([^ ]*\/debian\/\?\)\( .*\)\?$/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)}
  [ -n "$mirror" ] || { echo "no Debian archive is known here: set MIRROR=URL" >&2; exit 69; }
  echo "${mirror%/}"
}

# private_apt DIR ARCH...: an apt of its own in DIR for these architectures, the first one being its native one;
# leaves its options in APT.
private_apt() {
  local dir=$1 native=$2 archs="" a
  shift
  for a in "$@"; do archs="$archs -o APT::Architectures::=$a"; done
  local mirror
  mirror=$(debian_mirror)
  rm -rf "$dir"
  mkdir -p "$dir/lists/partial" "$dir/archives/partial" "$dir/none"
  : > "$dir/status"
  local s="[arch=$(echo "$@" | tr ' ' ',') signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror"
  echo "deb $s $SUITE main" > "$dir/sources.list"
  [ "$KVER" = 6.1 ] || echo "deb $s $SUITE-backports main" >> "$dir/sources.list"
  APT="-qq -o APT::Architecture=$native $archs -o Dir::Etc::sourcelist=$dir/sources.list -o Dir::Etc::sourceparts=$dir/none
    -o Dir::Etc::preferencesparts=$dir/none -o Dir::State::lists=$dir/lists -o Dir::State::status=$dir/status -o Dir::Cache=$dir
    -o APT::Sandbox::User=$(id -un) -o Acquire::Languages=none -o Acquire::Retries=3"
  apt-get $APT update
}

# Fetches kernel and busybox into $KERNEL/root, once.
fetch_kernel() {
  [ ! -e "$KERNEL/ok" ] || return 0
  private_apt "$KERNEL" "$DEB"
  local suite=$SUITE image
  [ "$KVER" = 6.1 ] || suite=$SUITE-backports
  image=$(apt-cache $APT show "linux-image-$FLAVOUR/$suite" 2>/dev/null | sed -n 's/^Depends: \(linux-image-[^ ,]*\).*/\1/p' | head -n 1)
  [ -n "$image" ] || { echo "no kernel linux-image-$FLAVOUR in $suite" >&2; exit 125; }
  (cd "$KERNEL" && apt-get $APT download "$image" busybox-static)
  local d
  for d in "$KERNEL"/*.deb; do dpkg -x "$d" "$KERNEL/root"; done
  du -cb "$KERNEL"/*.deb | tail -n 1 | awk '{printf "vm: %.1f MB of packages\n",$1/1e6}' >&2
  rm -rf "$KERNEL/lists" "$KERNEL/archives" "$KERNEL"/*.bin "$KERNEL"/*.deb
  touch "$KERNEL/ok"
}

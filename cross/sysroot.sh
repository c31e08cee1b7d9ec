#!/bin/sh
# Unpacks the C library of a Debian release for an architecture, to run a cross-built binary against that release.
#
#   cross/sysroot.sh arm64|armhf bullseye DIR
#
# Needs mmdebstrap and a Debian machine: the packages come from the mirror that this machine uses.
set -eu
[ $# = 3 ] || {
    sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
command -v mmdebstrap >/dev/null || {
    echo "$0: the mend: sudo apt-get install mmdebstrap" >&2
    exit 69
}
# The release's own archive only: packages of its security archive disappear when they are superseded.
mirror=$(apt-get indextargets --format '$(SITE)' | grep -v security | sort -u | head -n 1)
[ -n "$mirror" ] || {
    echo "$0: apt-get names no mirror" >&2
    exit 69
}
exec mmdebstrap --quiet --variant=extract --include=libc6,libgcc-s1 --architectures="$1" "$2" "$3" "deb $mirror $2 main"

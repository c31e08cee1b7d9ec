#!/bin/sh
# Checks the units' exposure as systemd-analyze reckons it: mercam's at most 1.0, 1.5 with the network. Usage: deploy/check.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v systemd-analyze > /dev/null || { echo "systemd-analyze is not installed: apt-get install systemd" >&2; exit 69; }

# Says the exposure of a unit, and fails when it is above so many tenths.
exposure() {
  if ! report=$(systemd-analyze security --offline=true --no-pager --threshold="$2" "$1"); then
    echo "$report" | grep -v ' ✓ ' >&2
    echo "more exposed than $2 tenths" >&2
    exit 1
  fi
  echo "$report" | tail -n 1
}

echo "without network:"
exposure "$here/mercam.service" 10
# A drop-in is not read in offline mode, so its settings are appended where they belong; the last one counts.
with() { # DROP-IN
  sed -n '/^\[Service\]/,$p' "$here/$1.conf" | sed 1d > "$work/$1"
  awk -v more="$work/$1" '/^\[Install\]/ { exit } { print } END { while ((getline line < more) > 0) print line }' \
    "$here/mercam.service" > "$work/mercam.service"
  exposure "$work/mercam.service" "$2"
}
echo "with network:"
with network 15
echo "with a light:"
with indicator 10
echo "with a camera that comes through a pipe:"
with pipe 10
echo "the camera's own unit:"
cp "$here/mercam-camera@.service" "$work/mercam-camera@rpicam.service"
exposure "$work/mercam-camera@rpicam.service" 20

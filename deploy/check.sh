#!/bin/sh
# Checks the unit's exposure without (at most 1.0) and with the network (at most 1.5) as
# systemd-analyze reckons it. Usage: deploy/check.sh
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
sed -n '/^\[Service\]/,$p' "$here/network.conf" | sed 1d > "$work/network"
awk -v net="$work/network" '/^\[Install\]/ { exit } { print } END { while ((getline line < net) > 0) print line }' \
  "$here/mercam.service" > "$work/mercam.service"
echo "with network:"
exposure "$work/mercam.service" 15

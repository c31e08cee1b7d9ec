#!/bin/sh
# Builds the boards' binaries quickly (profile ci-cross) and compares their events under emulation with this machine's.
# What cannot be had here (the target's standard library, the emulator) is said loudly and ends with status 69.
#
#   cross/check.sh [aarch64|armv7]...     both when none is named; MERCAM=FILE: this machine's binary
#
# The C library's floor is checked in these binaries too: it depends on what is linked, not on the optimisation.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- aarch64 armv7
export CROSS_PROFILE=ci-cross CROSS_PROCESSORS="${CROSS_PROCESSORS:-few}"
status=0
for target in "$@"; do
    result=0
    started=$(date +%s)
    { cross/build.sh "$target" && built=$(date +%s) && cross/run-emulated.sh "$target"; } || result=$?
    if [ $result = 0 ]; then
        echo "cross/check.sh: $target: built in $((built - started)) s, compared in $(($(date +%s) - built)) s"
    else
        echo "cross/check.sh: $target: $([ $result = 69 ] && echo NOT CHECKED, see above || echo FAILED)" >&2
        # A failure counts for more than something that is missing.
        [ $status != 0 ] && [ $status != 69 ] || status=$result
    fi
done
exit $status

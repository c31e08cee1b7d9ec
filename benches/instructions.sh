#!/bin/sh
# Counts the instructions of each station with Valgrind. See benches/instructions.rs.
set -eu
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || {
    echo "$0: valgrind is not installed: sudo apt-get install valgrind" >&2
    exit 69
}
program=$(cargo bench --locked --profile dev --bench instructions --no-run --message-format json |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$program" >"$work/names"
number=0
while read -r name; do
    valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*instructions*measured*' \
        --callgrind-out-file="$work/out" "$program" "$number" >"$work/log" 2>&1 </dev/null || {
        cat "$work/log" >&2
        exit 1
    }
    printf '%-40s %12s\n' "$name" "$(sed -n 's/^\(totals\|summary\): //p' "$work/out" | tail -n 1)"
    number=$((number + 1))
done <"$work/names"

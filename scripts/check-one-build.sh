#!/bin/sh
# Fails when a dev-dependency or the feature `mqtt` adds a feature to a dependency of the product: cargo would then
# compile the inference library twice (6 more minutes), once for the binary and once for the tests, or once without and
# once with `mqtt`.
set -eu
features() {
    cargo tree --locked --edges "$@" --format '{p} {f}' --prefix none | sed 's/ (\*)$//' | grep -v '^mercam ' | sort -u
}
product=$(mktemp) && other=$(mktemp)
trap 'rm -f "$product" "$other"' EXIT
features no-dev >"$product"
compare() {
    only=$(comm -23 "$product" "$other")
    if [ -n "$only" ]; then
        echo "$1 changes the features of these, so they would be built twice:" >&2
        echo "$only" >&2
        exit 1
    fi
}
features normal,build,dev >"$other"
compare "a dev-dependency"
features no-dev --features mqtt >"$other"
compare "the feature mqtt"

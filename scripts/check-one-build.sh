#!/bin/sh
# Fails when a dev-dependency adds a feature to a dependency of the product: cargo would then compile the inference
# library twice, once for the binary and once for the tests (6 more minutes).
set -eu
features() {
    cargo tree --locked --edges "$1" --format '{p} {f}' --prefix none | sed 's/ (\*)$//' | sort -u
}
product=$(mktemp) && tests=$(mktemp)
trap 'rm -f "$product" "$tests"' EXIT
features no-dev >"$product"
features normal,build,dev >"$tests"
only=$(comm -23 "$product" "$tests")
if [ -n "$only" ]; then
    echo "a dev-dependency changes the features of these, so they would be built twice:" >&2
    echo "$only" >&2
    exit 1
fi

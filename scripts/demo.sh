#!/bin/sh
# Builds mercam and shows micro-expressions being detected in a built-in moving face. Arguments go to `mercam demo`.
set -eu
cd "$(dirname "$0")/.."
. scripts/prerequisites.sh
install_missing
# The same profile as the tests: the networks are compiled once for both.
cargo build --locked
exec target/debug/mercam demo "$@"

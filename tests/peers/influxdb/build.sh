#!/usr/bin/env bash
# Builds InfluxDB 2.7.12 from its Go module into the file named by $1; $2 is the `go` to use (at least 1.25).
set -euo pipefail
cd "$(dirname "$0")"
out=$1
go=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# InfluxDB links a Rust library, libflux, which InfluxData's own `pkg-config` builds on the way.
GOBIN="$work" "$go" install github.com/influxdata/pkg-config@v0.2.14
# libflux forbids warnings that newer compilers have; RUSTFLAGS does not reach its build scripts, a wrapper does.
printf '#!/bin/sh\nexec "$@" --cap-lints warn\n' > "$work/rustc-wrapper"
chmod +x "$work/rustc-wrapper"
unset CARGO_TARGET_DIR
PATH="$work:$(dirname "$go"):$PATH" PKG_CONFIG="$work/pkg-config" RUSTUP_TOOLCHAIN=stable RUSTC_WRAPPER="$work/rustc-wrapper" \
    "$go" build -mod=readonly -tags peer,sqlite_foreign_keys,sqlite_json -o "$out" github.com/influxdata/influxdb/v2/cmd/influxd

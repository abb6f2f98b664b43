#!/usr/bin/env bash
# Builds Centrifugo into bin/bench from the module proxy, the version that docs/benchmarks.md is about, unless it is
# there. The first time takes minutes: it is large. It fails where it can't be had; scripts/bench/run.sh goes on then.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=v6.9.1
if go version -m bin/bench/centrifugo 2>/dev/null | grep -q "centrifugo/v6[[:space:]]$version"; then
  exit 0
fi
echo "building Centrifugo $version" >&2
mkdir -p bin/bench
GOBIN=$PWD/bin/bench GOFLAGS='' timeout 20m go install "github.com/centrifugal/centrifugo/v6@$version"

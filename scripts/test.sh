#!/usr/bin/env bash
# Runs all that must hold before a change lands: the checks, the quick tests on
# one processor (where goroutines only alternate), all tests with the race
# detector. In CI (CI=true) results of earlier runs do not count.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$1"; }

scripts/deps.sh
if [ "${CI:-}" = true ]; then # elsewhere by hand: it fetches 300 MB
  scripts/client-deps.sh || echo 'going on without what npm has: tests of client/ will be skipped' >&2
fi

say 'gofmt, vet, staticcheck'
scripts/check.sh

flags=(-timeout 5m) # a package that hangs shall say where, in good time
if [ "${CI:-}" = true ]; then
  flags+=(-count=1)
fi

say 'quick tests on one processor'
# Several tests at a time, since most of them wait; but one processor.
for module in . scripts/bench; do
  (cd "$module" && GOMAXPROCS=1 go test -short -p "$(nproc)" -parallel 4 "${flags[@]}" ./...)
done

say 'all tests, with the race detector'
# First the load generator's, which run the server as a program: their results are never taken from earlier runs.
(cd scripts/bench && go test -race -count=1 "${flags[@]}" ./...)
go test -race "${flags[@]}" ./...

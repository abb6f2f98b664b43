#!/usr/bin/env bash
# Fuzzes every fuzz target, one after the other: scripts/fuzz.sh [how long each, 1m] [packages, all]
# How long is a time (30s) or a number of inputs (20000x).
# Findings are kept in testdata/fuzz beside the target, and every later
# `go test` tries it.
set -euo pipefail
cd "$(dirname "$0")/.."

time=${1:-1m}
if [ $# -gt 0 ]; then shift; fi
if [ $# -eq 0 ]; then set -- ./...; fi

built=$(mktemp -d)
trap 'rm -rf "$built"' EXIT
cache=$(go env GOCACHE)/fuzz # where go test keeps interesting inputs, too
go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}}{{end}}' "$@" | while read -r package dir; do
  targets=$(sed -n 's/^func \(Fuzz[^(]*\)(.*/\1/p' "$dir"/*_test.go)
  [ -n "$targets" ] || continue
  # One program for all targets of a package: go test -fuzz would link one for each.
  go test -c -fuzz . -o "$built/fuzz.test" "$package"
  for target in $targets; do
    printf '== %s for %s\n' "$target" "$time"
    (cd "$dir" && "$built/fuzz.test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "$time" -test.fuzzminimizetime 1s -test.fuzzcachedir "$cache/$package") </dev/null
  done
done

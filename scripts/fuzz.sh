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

dirs=$(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' "$@")
for dir in $dirs; do
  grep -qs '^func Fuzz' "$dir"/*_test.go || continue
  targets=$(go test -list '^Fuzz' "$dir" | grep '^Fuzz')
  for target in $targets; do
    printf '== %s for %s\n' "$target" "$time"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1s "$dir"
  done
done

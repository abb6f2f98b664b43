#!/usr/bin/env bash
# Checks the code without running it: gofmt, go vet, staticcheck, and shellcheck
# where it is installed. `scripts/check.sh quick` leaves out the last two.
set -euo pipefail
cd "$(dirname "$0")/.."

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
  printf 'not as gofmt writes it (run gofmt -w .):\n%s\n' "$unformatted" >&2
  exit 1
fi
if [ "${1:-}" = quick ]; then
  exec go vet ./...
fi
staticcheck=$(go tool -n staticcheck) # the server's go.mod says which, for all modules
for module in . scripts/bench scripts/compat scripts/release; do
  (cd "$module" && go vet ./... && "$staticcheck" ./...)
done
go vet -tags demo ./cmd/roost && "$staticcheck" -tags demo ./cmd/roost # what make run builds

if command -v shellcheck >/dev/null; then
  find scripts \( -name '*.sh' -o -name soak -o -name faults \) -exec shellcheck {} +
  shellcheck .ci/run
else
  echo 'shellcheck is not installed: the scripts are not checked' >&2
fi

#!/usr/bin/env bash
# Tries scripts/module-path.sh on a clone of HEAD: all modules build with the new path, and go install fetches the program from a proxy
# that has this commit as v0.9.0. module-path-check.sh [PATH]
set -euo pipefail
cd "$(dirname "$0")/.."
path=${1:-example.com/org/roost}
version=v0.9.0
case $path in */v[2-9]*) version=v${path##*/v}.0.0 ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf 'module-path-check: %s\n' "$*"; }
fail() {
  printf 'module-path-check: %s\n' "$*" >&2
  exit 1
}

git clone --quiet --no-local . "$work/clone"
(cd scripts/release && go build -o "$work/modproxy" ./modproxy)
cd "$work/clone"
for wrong in '' roost https://example.com/org/roost example.com example.com/org/roost.git example.com/org/roost/v1; do
  if scripts/module-path.sh "$wrong" >/dev/null 2>&1; then fail "it takes \"$wrong\" for a path"; fi
done
[ -z "$(git status --porcelain)" ] || fail 'a refused path changes files'

say "the module is $path"
scripts/module-path.sh "$path" >/dev/null
if grep -rnE --include='*.go' '^[[:space:]]*(import[[:space:]]+)?([A-Za-z_.]+[[:space:]]+)?"roost/' .; then fail 'these imports have the old path'; fi
[ -z "$(gofmt -l .)" ] || fail "not as gofmt writes it: $(gofmt -l .)"
grep -qF "go install $path/cmd/roost@latest" CONTRIBUTING.md || fail 'CONTRIBUTING.md does not name the path'
for module in . scripts/*/go.mod; do
  module=${module%/go.mod}
  [ "$module" = scripts/acme ] && continue # has no package, only tools
  (cd "$module" && go build ./... && go vet ./...) || fail "$module does not build"
done
(cd scripts/testreport && go test . >/dev/null) || fail 'the tests of scripts/testreport fail'
git -c user.name=check -c user.email=check@example.com commit --quiet --all --message 'go.mod: another path'

say "go install $path/cmd/roost@$version"
printf '* -export-subst -export-ignore\n' >.git/info/attributes # as the go command has it, so that commit.txt stays a placeholder
"$work/modproxy" --dir "$work/proxy" --repo . --module "$path" --version "$version"
# What the module needs is in the module cache, or comes from the usual proxy.
(
  cd "$work"
  GOBIN=$work/bin GOPROXY="file://$work/proxy,file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" GOSUMDB=off \
    GOMODCACHE=$work/modules GOFLAGS="$(go env GOFLAGS) -modcacherw" go install "$path/cmd/roost@$version"
)
said=$("$work/bin/roost" version)
[ "$said" = "roost $version" ] || fail "roost version says \"$said\", want \"roost $version\""
JWT_SECRET_KEY=0123456789abcdef0123456789abcdef "$work/bin/roost" config >/dev/null || fail 'roost config fails'
say "$said"

#!/usr/bin/env bash
# Builds a release of HEAD twice, in a clone and in a tarball of git archive, and tries what came out: the same bytes, the program
# from the archive and from the image, the client for pages, the packages' content, and go install. make release-check
set -euo pipefail
cd "$(dirname "$0")/.."
version=v0.0.0-check # to Debian it is older than 0.0.0
commit=$(git rev-parse HEAD)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf 'release-check: %s\n' "$*"; }
fail() {
  printf 'release-check: %s\n' "$*" >&2
  exit 1
}
# expect TEXT COMMAND…: the command says the text.
expect() {
  local text=$1 said
  shift
  said=$("$@" 2>&1) || true
  [[ $said == *"$text"* ]] || fail "$* says \"$said\", want \"$text\" in it"
}

git clone --quiet --no-local . "$work/clone"
mkdir "$work/tarball"
git archive HEAD | tar -xC "$work/tarball"
for source in clone tarball; do
  say "building in the $source"
  (cd "$work/$source" && scripts/release.sh "$version") >"$work/$source.log" 2>&1 || fail "$source: $(tail -5 "$work/$source.log")"
done
diff "$work/clone/bin/release/$version/SHA256SUMS" "$work/tarball/bin/release/$version/SHA256SUMS" || fail 'the same commit gives other bytes'
out=$work/clone/bin/release/$version
(cd "$out" && sha256sum --check --quiet SHA256SUMS)

say 'the archive'
mkdir "$work/archive"
tar -xzf "$out/roost-$version-linux-$(go env GOARCH).tar.gz" --strip-components=1 -C "$work/archive"
expect "roost $version (commit $commit)" "$work/archive/roost" version
if readelf --program-headers "$work/archive/roost" | grep -q INTERP; then fail 'the program is not static'; fi

grep -q '"name": "github.com/redis/go-redis/v9"' "$out/roost-$version-linux-$(go env GOARCH).cdx.json" || fail 'the list of parts has no go-redis'

say 'the chart'
tar -xzf "$out/roost-$version-chart.tgz" -C "$work"
grep -qx "appVersion: $version" "$work/roost/Chart.yaml" || fail "the chart is for $(grep appVersion "$work/roost/Chart.yaml")"
(cd scripts/chart && go vet ./... && go test ./... -args --chart "$work/roost") # compiles helm: two minutes the first time

if command -v npm >/dev/null; then
  say 'the client for pages'
  mkdir "$work/app"
  (
    cd "$work/app"
    echo '{"private":true}' >package.json
    npm install --silent --offline --no-audit --no-fund "$out"/roost-client-*.tgz
    expect function node --eval 'console.log(typeof require("roost-client").connect)'
  )
fi

say 'the image'
mkdir "$work/layout" "$work/root"
tar -xzf "$out/roost-$version-image.tar.gz" -C "$work/layout"
grep -lE '"architecture":"'"$(go env GOARCH)"'"' "$work"/layout/blobs/sha256/* >"$work/configs"
while read -r config; do
  grep -q rootfs "$config" && break
done <"$work/configs"
for part in '"Entrypoint":["/roost"]' '"Test":["CMD","/roost","health","--live"]' '"User":"65532:65532"' "\"org.opencontainers.image.revision\":\"$commit\""; do
  grep -qF "$part" "$config" || fail "the image's configuration has no $part: $(cat "$config")"
done
manifest=$(grep -lF "$(basename "$config")" "$work"/layout/blobs/sha256/* | head -1)
layer=$(grep -oE '"application/vnd.oci.image.layer[^}]*"sha256:[0-9a-f]{64}"' "$manifest" | grep -oE '[0-9a-f]{64}')
tar -xzf "$work/layout/blobs/sha256/$layer" -C "$work/root"
expect "roost $version (commit $commit)" "$work/root/roost" version
[ -s "$work/root/etc/ssl/certs/ca-certificates.crt" ] || fail 'the image has no authorities'

if command -v dpkg-deb >/dev/null; then
  say 'the package'
  package=$out/roost_0.0.0~check_$(go env GOARCH).deb
  expect "Version: 0.0.0~check" dpkg-deb --info "$package"
  for path in ./usr/bin/roost ./usr/lib/systemd/system/roost.service ./usr/lib/systemd/system/roost.socket ./usr/lib/sysctl.d/60-roost.conf \
    ./usr/share/man/man1/roost.1.gz ./usr/share/bash-completion/completions/roost; do
    expect " $path" dpkg-deb --contents "$package"
  done
  dpkg-deb --extract "$package" "$work/package"
  expect "roost $version (commit $commit)" "$work/package/usr/bin/roost" version
  if grep -n /usr/local "$work/package/usr/lib/systemd/system/roost.service"; then fail 'the unit has another path'; fi
  if [ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null && command -v systemd-nspawn >/dev/null; then
    scripts/package/check.sh "$package"
  else
    say 'no root, debootstrap or systemd-nspawn: the package is not installed'
  fi
fi
say 'go install, once the module has the path of its repository'
scripts/module-path-check.sh
say 'all is well'

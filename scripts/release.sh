#!/usr/bin/env bash
# Builds a release into bin/release/<version>: make release VERSION=v0.9.0
#
# In a clean checkout of a commit, or in a tarball that git archive made of one. The same commit and Go give the same bytes.
#
#   roost-<version>-<system>-<architecture>.tar.gz   the program, the units, completions, the manual page
#   roost_<version>_<architecture>.deb               the server as a package for Debian and Ubuntu
#   roost-<version>-image.tar.gz                     the container image for amd64 and arm64, as an OCI layout
#   roost-<version>-chart.tgz                        the Helm chart, for this image
#   roost-client-<its version>.tgz                   the client for pages, for npm install
#   roost-<version>-<system>-<architecture>.cdx.json what the program is made of (SBOM, CycloneDX)
#   SHA256SUMS
#
# For macOS and Windows it is the program without the server.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'release: %s\n' "$*"; }
fail() {
  printf 'release: %s\n' "$*" >&2
  exit 1
}

version=${1:-}
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || fail "VERSION is \"$version\": want a version such as v0.9.0 (make release VERSION=v0.9.0)"

# The commit and its time: git's, or what git archive wrote into the file.
read -r commit time <cmd/roost/internal/version/commit.txt
if [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$PWD" ]; then
  [ -z "$(git status --porcelain)" ] || fail "the checkout has changes (git status): commit them first"
  commit=$(git rev-parse HEAD)
  time=$(git log -1 --format=%ct)
fi
[[ $commit =~ ^[0-9a-f]{40}$ ]] || fail "no git checkout, and no tarball of git archive: the commit is not known"
export SOURCE_DATE_EPOCH=$time TZ=UTC LC_ALL=C
umask 022

out=$PWD/bin/release/$version
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$out" && mkdir -p "$out"
if [ -e .git ]; then # built from what git archive writes, so that the program is that of a tarball
  mkdir "$work/source"
  git archive HEAD | tar -xC "$work/source"
  cd "$work/source"
fi

# build writes the program for a system and an architecture: build SYSTEM ARCHITECTURE FILE
build() {
  local stamp
  stamp=$(GOFLAGS='' go list -m)/cmd/roost/internal/version
  GOOS=$1 GOARCH=$2 CGO_ENABLED=0 GOFLAGS='' go build -trimpath -buildvcs=false \
    -ldflags "-s -w -buildid= -X $stamp.release=$version -X $stamp.commit=$commit" -o "$3" ./cmd/roost
}

# pack makes an archive of what is in a directory, the same bytes each time: pack DIRECTORY FILE [NAME, for one of its entries]
pack() {
  tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -C "$1" -cf - "${3:-.}" | gzip -9n >"$2"
}

say "$version of $commit, with $(go env GOVERSION)"
build "$(go env GOHOSTOS)" "$(go env GOHOSTARCH)" "$work/roost"
extras=$work/extras
mkdir -p "$extras"
"$work/roost" man | gzip -9n >"$extras/roost.1.gz"
for shell in bash zsh fish; do "$work/roost" completion "$shell" >"$extras/roost.$shell"; done

# The list of parts has the hash of the program that wrote it: that is built the same each time, too.
(cd scripts/release && CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$work/cyclonedx" github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod)

for target in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64; do
  system=${target%/*} architecture=${target#*/}
  say "$target"
  name=roost-$version-$system-$architecture
  dir=$work/archives/$name
  program=roost
  if [ "$system" = windows ]; then program=roost.exe; fi
  mkdir -p "$dir/completions"
  build "$system" "$architecture" "$dir/$program"
  install -m 644 LICENSE README.md CHANGELOG.md "$dir"
  install -m 644 "$extras/roost.1.gz" "$dir"
  install -m 644 "$extras"/roost.{bash,zsh,fish} "$dir/completions"
  if [ "$system" = linux ]; then
    install -m 644 scripts/roost.service scripts/roost-upgrade.service scripts/roost.socket scripts/roost-tls.socket scripts/roost.sysctl.conf "$dir"
  fi
  pack "$work/archives" "$out/$name.tar.gz" "$name"
  "$work/cyclonedx" bin -json -noserial -notimestamp -std -version "$version" -output "$out/$name.cdx.json" "$dir/$program"
done

if command -v dpkg-deb >/dev/null; then
  for architecture in amd64 arm64; do
    say "package for $architecture"
    scripts/package/build.sh "$version" "$architecture" "$work/archives/roost-$version-linux-$architecture/roost" "$extras" "$out"
  done
else
  say 'no dpkg-deb here: no packages for Debian'
fi
say 'chart'
mkdir "$work/chart"
cp -r scripts/chart/roost "$work/chart/roost"
sed -i -e "s/^version: .*/version: ${version#v}/" -e "s/^appVersion: .*/appVersion: $version/" "$work/chart/roost/Chart.yaml"
pack "$work/chart" "$out/roost-$version-chart.tgz" roost

if command -v npm >/dev/null; then
  say 'client for pages'
  (cd client && npm pack --silent --pack-destination "$out" >/dev/null)
else
  say 'no npm here: no client for pages'
fi

say 'container image'
(cd scripts/release && CGO_ENABLED=0 GOFLAGS='' go build -o "$work/image" ./image)
mkdir "$work/layout"
"$work/image" --version "$version" --commit "$commit" --created "$SOURCE_DATE_EPOCH" --layout "$work/layout" \
  amd64="$work/archives/roost-$version-linux-amd64/roost" arm64="$work/archives/roost-$version-linux-arm64/roost"
pack "$work/layout" "$out/roost-$version-image.tar.gz"

(cd "$out" && sha256sum -- * >"$work/sums" && mv "$work/sums" SHA256SUMS)
say "bin/release/$version:"
cat "$out/SHA256SUMS"

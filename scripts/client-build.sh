#!/usr/bin/env bash
# Builds what the npm package roost-client has in addition to its sources, with the esbuild that go.mod names: roost.min.js for a
# script tag, and everything for CommonJS. scripts/client-build.sh [where to, client/dist]. npm pack runs it.
set -euo pipefail
cd "$(dirname "$0")/../client"

dist=${1:-dist}
rm -rf "$dist"
mkdir -p "$dist"
licence=$(head -1 roost.js)
esbuild() { go tool esbuild --log-level=warning --target=es2022 "$@"; }

# For a script tag a module becomes one expression: its exports are members of the global roost. With let for const, which
# means the same in code that runs, esbuild makes one declaration of neighbours.
{
  echo "$licence"
  { echo 'var roost=(()=>{'; sed 's/^export //; s/\bconst /let /g' roost.js; echo 'return { connect, SessionOver };})()'; } |
    esbuild --minify --legal-comments=none
} >"$dist/roost.min.js"

{
  echo "$licence"
  { echo 'roost.renewing=(()=>{'; sed 's/^export //; s/\bconst /let /g' renew.js; echo 'return renewing})()'; } |
    esbuild --minify --legal-comments=none
} >"$dist/renew.min.js"

for name in roost renew react vue svelte testing; do
  esbuild "$name.js" --bundle --format=cjs --platform=neutral --legal-comments=none \
    --external:react --external:vue --external:roost-client |
    { echo "$licence"; cat; } >"$dist/$name.cjs"
  cp "$name.d.ts" "$dist/$name.d.cts"
done

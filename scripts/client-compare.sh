#!/usr/bin/env bash
# Writes the table of docs/frontend.md: roost-client beside other clients, as npm serves them. Sizes and formats are read off
# the packages; waits, silence and the life of a page are seen in a page that is none, with virtual time and a server that says
# what each client needs to hear. Needs npm and node.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p bin/compare
scripts/client-build.sh
(
  cd bin/compare
  echo '{"private":true}' >package.json
  npm install --silent --no-audit --no-fund --ignore-scripts centrifuge reconnecting-websocket partysocket phoenix pusher-js \
    @rails/actioncable @anycable/web react
  rm -rf node_modules/roost-client
  ln -s ../../../client node_modules/roost-client
)
go build -o bin/compare/esbuild github.com/evanw/esbuild/cmd/esbuild
node scripts/client-compare.mjs >bin/compare/table.md
awk '
  /^<!-- begin comparison/ { print; while ((getline line < "bin/compare/table.md") > 0) print line; skip = 1 }
  /^<!-- end/ { skip = 0 }
  !skip
' docs/frontend.md >docs/.frontend.md
mv docs/.frontend.md docs/frontend.md

#!/usr/bin/env bash
# Packs the client, makes four fresh apps that use it, outside of this tree, and drives them in Chromium and Firefox through what
# happens to pages: scripts/client-apps.sh [where to, a temporary directory]. Their code is what docs/frontend.md shows. It says
# how long npm install and the build take, and leaves pictures in shots/. Needs npm and node.
set -euo pipefail
cd "$(dirname "$0")/.."
tree=$PWD
dir=${1:-$(mktemp -d -t roost-client-apps.XXXXXX)}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
vite=create-vite@9.3.0

# block prints the first example of a language below a heading of docs/frontend.md.
block() {
  awk -v heading="## $1" -v fence="\`\`\`$2" '
    /^## / { below = $0 == heading }
    inside && /^```/ { exit }
    inside { print }
    below && $0 == fence { inside = 1 }
  ' docs/frontend.md
}

quietly() { "$@" >"$dir/log" 2>&1 </dev/null || { cat "$dir/log" >&2; return 1; }; }

# app NAME TEMPLATE SOURCE makes an app with Vite's template and puts what it reads in place of one of its sources.
app() {
  local name=$1 template=$2 source=$3 begin
  cd "$dir"
  rm -rf "$name"
  quietly npx --yes "$vite" "$name" --template "$template" --no-interactive
  cd "$name"
  quietly npm install --no-audit --no-fund
  begin=$SECONDS
  quietly npm install --no-audit --no-fund "$package"
  cat >"src/$source"
  cp "$tree/client/apps/backend.ts" src/
  [ "$name" != typescript ] || cp "$tree/client/apps/show.ts" src/
  quietly npm run build
  echo "$name: built $((SECONDS - begin)) s after npm install ${package##*/} had begun"
  cd "$tree"
}

(cd client && quietly npm pack --pack-destination "$dir")
package=$(ls "$dir"/roost-client-*.tgz)

mkdir -p "$dir/plain"
(
  cd "$dir/plain"
  echo '{"private":true}' >package.json
  quietly npm install --no-audit --no-fund "$package"
  cp "$tree/client/apps/plain.html" index.html
)
{
  echo 'import { fetchInbox } from "./backend"; import { show, showState } from "./show";'
  block "In one minute" ts
  echo 'roost.on("state", showState);'
} | app typescript vanilla-ts main.ts
{
  echo 'import { useReducer } from "react"; import { fetchInbox, token, type Item } from "./backend";'
  block React tsx
} | app react react-ts App.tsx
block Vue vue | app vue vue-ts App.vue

ROOST_CLIENT_APPS=$dir go test -count=1 -timeout 20m -run '^TestClientApps$' -v ./cmd/roost/internal/e2e/browsers | grep -E '^ *(---|ok|FAIL|PASS)|_test.go'
echo "the apps and pictures of them are in $dir"

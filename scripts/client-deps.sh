#!/usr/bin/env bash
# Installs from npm, into bin/client, what the tests of client/ can use: the runtimes bun and deno, tsc, and the frameworks
# that the package has hooks for. Tests skip what is not there. Nothing of it is part of Roost.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  typescript@7.0.2
  react@19.3.1 react-dom@19.3.1 @types/react@19.3.3 @types/react-dom@19.3.0
  vue@3.5.45 svelte@5.57.3
  ws@8.23.0 @types/node@26.6.7
  bun@1.4.5 deno@2.9.6
)
mkdir -p bin/client
cd bin/client
if [ "$(cat installed 2>/dev/null)" = "${packages[*]}" ]; then exit 0; fi
echo '{"private":true}' >package.json
npm install --loglevel=error --no-audit --no-fund --save-exact --ignore-scripts "${packages[@]}"
node node_modules/bun/install.js # puts the program in place
echo "${packages[*]}" >installed

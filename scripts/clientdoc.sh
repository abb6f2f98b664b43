#!/usr/bin/env bash
# Writes client/roost.js into docs/clients.md, between its two marks.
set -euo pipefail
cd "$(dirname "$0")/.."

awk '
  /^<!-- begin client\/roost.js/ {
    print; print "```js"
    while ((getline line < "client/roost.js") > 0) print line
    print "```"; skip = 1
  }
  /^<!-- end/ { skip = 0 }
  !skip
' docs/clients.md > docs/.clients.md
mv docs/.clients.md docs/clients.md

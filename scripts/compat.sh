#!/usr/bin/env bash
# Connects to Roost with the client libraries that apt, npm and Go's modules have, and through each Redis-compatible
# server that is installed, and writes docs/compatibility.md. It installs some 300 MB of packages; what can't be installed
# is left out of the tables. It takes five minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(redis-server valkey-server redict-server nodejs npm default-jdk-headless g++ libboost-dev libwebsocketpp-dev
  libwebsockets-dev python3-websocket python3-websockets python3-aiohttp python3-tornado python3-autobahn
  python3-pyqt5.qtwebsockets python3-gi gir1.2-soup-3.0 libmojolicious-perl libanyevent-websocket-client-perl
  ruby-faye-websocket ruby-eventmachine lua5.3 lua-http lua-basexx)
scripts/deps.sh "${packages[@]}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm install --silent --no-audit --no-fund ws websocket faye-websocket undici bun deno) || echo 'some of the clients from npm are left out' >&2
clients=scripts/compat/clients
cc -O1 -o "$work/c-libwebsockets" $clients/c-libwebsockets.c -lwebsockets || echo 'libwebsockets is left out' >&2
c++ -O1 -std=c++17 -o "$work/cpp-beast" $clients/cpp-beast.cpp -pthread || echo 'Boost.Beast is left out' >&2
c++ -O1 -std=c++17 -o "$work/cpp-websocketpp" $clients/cpp-websocketpp.cpp -pthread || echo 'WebSocket++ is left out' >&2
go build -o bin/roost ./cmd/roost
(cd scripts/compat && go build -o "$work/goclient" ./goclient && go build -o "$work/compat" .)
"$work/compat" -roost bin/roost -work "$work"

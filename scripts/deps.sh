#!/usr/bin/env bash
# Installs through apt-get what the tests use in addition to Go, where it is missing, and
# says before what that is and what for. A Redis server and a C compiler are needed;
# of what is optional the tests skip themselves where it is not there (but for nginx
# and HAProxy in CI). Without --all, or CI=true, only small things are installed.
#
#   scripts/deps.sh [--all] [packages that are wanted too]
set -euo pipefail

all=${CI:-false}
if [ "${1:-}" = --all ]; then
  all=true
  shift
fi

missing=()  # needed
optional=() # wanted
absent=()   # said to be missing, and why somebody might want it
reasons=()  # a line for each thing to install
have() { command -v "$1" >/dev/null; }
have_daemon() { have "$1" || [ -x "/usr/sbin/$1" ]; } # where not everybody's PATH leads
reason() { reasons+=("$(printf '  %-28s %s' "$1" "$2")"); }

# need, want and large name packages that are missing, and what for: needed, optional, and optional in --all.
need() {
  local why=$1
  shift
  missing+=("$@")
  reason "$*" "needed: $why"
}
want() {
  local why=$1
  shift
  optional+=("$@")
  reason "$*" "$why"
}
large() {
  if [ "$all" = true ]; then want "$@"; else absent+=("$(printf '  %-28s %s' "${*:2}" "$1")"); fi
}

have redis-server || need 'Redis, which the tests start themselves' redis-server
have "${CC:-gcc}" || need 'a C compiler, for the race detector' gcc libc6-dev
have_daemon nginx || want 'the tests of scripts/proxy/nginx.conf' nginx
have_daemon haproxy || want 'the tests of scripts/proxy/haproxy.cfg' haproxy
have chromium || have google-chrome || large 'the console and the client for pages, in a browser' chromium
have firefox-esr || have firefox || large 'the same in Firefox' firefox-esr
have npm || large 'the npm package of the client' nodejs npm
have promtool || large 'the alert rules' prometheus # 19 MB; nothing of it is started
have shellcheck || large 'the scripts, in make check' shellcheck
have systemd-analyze || large 'the unit for systemd' systemd
[ "$(id -u)" -ne 0 ] || have systemd-nspawn || large 'the unit under a real systemd' systemd-container
/usr/bin/python3 -c 'import redis, jwt' 2>/dev/null || large "the docs' lines of Python" python3-redis python3-jwt
php -r 'exit(extension_loaded("redis") ? 0 : 1);' 2>/dev/null || large "the docs' lines of PHP" php-cli php-redis
for package in "$@"; do want 'asked for' "$package"; done

if [ ${#absent[@]} -gt 0 ]; then
  {
    echo 'Optional, and not here; what would use it is skipped (scripts/deps.sh --all installs it):'
    printf '%s\n' "${absent[@]}"
  } >&2
fi
if [ ${#reasons[@]} -eq 0 ]; then exit 0; fi

# give_up says why nothing can be installed, and fails if something is needed.
give_up() {
  printf '%s\n' "$1" >&2
  if [ ${#missing[@]} -eq 0 ]; then
    echo "Going on without ${optional[*]}." >&2
    exit 0
  fi
  printf 'The tests need: %s. Install it by hand, then run this again.\n' "${missing[*]}" >&2
  exit 1
}

{
  echo 'Missing here, and about to be installed through apt-get:'
  printf '%s\n' "${reasons[@]}"
} >&2
have apt-get || give_up 'There is no apt-get here.'
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  have sudo || give_up 'Installing packages needs root, and there is no sudo.'
  as_root=(sudo)
  # Nobody can type a password, or should have to for what is optional.
  if [ ! -t 0 ] || [ ${#missing[@]} -eq 0 ]; then
    as_root=(sudo -n)
    sudo -n true 2>/dev/null || give_up 'Installing packages needs root.'
  fi
fi
apt_get() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends "$@" </dev/null; }

# Debian's packages would start their servers on the usual ports, now and at
# every boot. The tests start their own on other ports.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap '"${as_root[@]}" rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  "${as_root[@]}" chmod 755 $policy
fi

echo 'apt-get update' >&2
apt_get update || echo 'apt-get update failed; trying with the lists that are here' >&2
if [ ${#missing[@]} -gt 0 ]; then
  echo "apt-get install ${missing[*]}" >&2
  apt_get install "${missing[@]}" >/dev/null || give_up 'apt-get could not install it.'
fi
for package in "${optional[@]}"; do
  echo "apt-get install $package" >&2
  apt_get install "$package" >/dev/null || echo "going on without $package" >&2
done
wanted=("${missing[@]}" "${optional[@]}")
for service in redis-server nginx haproxy prometheus; do
  if have systemctl && [[ " ${wanted[*]} " == *" $service "* ]]; then
    "${as_root[@]}" systemctl disable --quiet "$service" || true
  fi
done

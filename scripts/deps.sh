#!/usr/bin/env bash
# Installs what the tests want besides Go, through apt-get, where it is missing:
# a Redis server, and a C compiler for the race detector. nginx and HAProxy are
# optional (their tests skip themselves, but for CI), 7 MB together. In CI
# (CI=true) there is more of that: two browsers, node, promtool and systemd-analyze
# (without one its test skips itself), shellcheck, and Python and PHP with their
# Redis libraries, whose snippets in the docs are run. Packages that are named are
# optional ones too.
set -euo pipefail

missing=()
optional=("$@")
have() { command -v "$1" >/dev/null; }
have_daemon() { have "$1" || [ -x "/usr/sbin/$1" ]; } # where not everybody's PATH leads

have redis-server || missing+=(redis-server)
have "${CC:-gcc}" || missing+=(gcc libc6-dev)
have_daemon nginx || optional+=(nginx)
have_daemon haproxy || optional+=(haproxy)
if [ "${CI:-}" = true ]; then
  have chromium || have google-chrome || optional+=(chromium)
  have firefox-esr || have firefox || optional+=(firefox-esr)
  have npm || optional+=(nodejs npm)
  have promtool || optional+=(prometheus) # 19 MB; nothing of it is started
  have shellcheck || optional+=(shellcheck)
  have systemd-analyze || optional+=(systemd)
  /usr/bin/python3 -c 'import redis, jwt' 2>/dev/null || optional+=(python3-redis python3-jwt)
  php -r 'exit(extension_loaded("redis") ? 0 : 1);' 2>/dev/null || optional+=(php-cli php-redis)
else
  have chromium || have google-chrome || echo 'no chromium: the tests with it will be skipped' >&2
  have firefox-esr || have firefox || echo 'no firefox: the tests with it will be skipped' >&2
  have promtool || echo 'no promtool: the alert rules will not be tried out' >&2
fi
[ ${#missing[@]} -gt 0 ] || [ ${#optional[@]} -gt 0 ] || exit 0

# give_up says why nothing can be installed, and fails if something is needed.
give_up() {
  printf '%s\n' "$1" >&2
  if [ ${#missing[@]} -eq 0 ]; then
    echo "going on without ${optional[*]}" >&2
    exit 0
  fi
  printf 'The tests need: %s. Install it by hand, then run this again.\n' "${missing[*]}" >&2
  exit 1
}

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

wanted=("${missing[@]}" "${optional[@]}")
echo "installing ${wanted[*]}" >&2
apt_get update || echo 'apt-get update failed; trying with the lists that are here' >&2
if [ ${#missing[@]} -gt 0 ]; then
  apt_get install "${missing[@]}" >/dev/null || give_up 'apt-get could not install it.'
fi
for package in "${optional[@]}"; do
  apt_get install "$package" >/dev/null || echo "going on without $package" >&2
done
for service in redis-server nginx haproxy prometheus; do
  if have systemctl && [[ " ${wanted[*]} " == *" $service "* ]]; then
    "${as_root[@]}" systemctl disable --quiet "$service" || true
  fi
done

#!/usr/bin/env bash
# Installs, upgrades, removes and purges a package in a container of Debian 12 with systemd, and looks at each step: check.sh PACKAGE
# Wants root, debootstrap and systemd-container. ROOT names a directory with such a system, which saves the minutes of making one.
# shellcheck disable=SC2016 # the container's shell expands what is in single quotes
set -euo pipefail
package=$1
work=$(mktemp -d)
root=${ROOT:-$work/root}
container='' init=''
cleanup() {
  if [ -n "$init" ]; then kill -9 "$init" 2>/dev/null || true; fi
  if [ -n "$container" ]; then kill -9 "$container" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

if [ ! -e "$root/etc/debian_version" ]; then
  debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps,redis-server,curl bookworm "$root" http://deb.debian.org/debian >"$work/log" ||
    { tail -3 "$work/log" >&2; exit 1; }
fi

# The same program as a later version, for the upgrade.
dpkg-deb --raw-extract "$package" "$work/later"
sed -i 's/^Version: .*/Version: 9999/' "$work/later/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip --build "$work/later" "$root/root/later.deb" >/dev/null
cp "$package" "$root/root/roost.deb"

systemd-nspawn --quiet --directory="$root" --boot --register=no --keep-unit --link-journal=no --console=pipe --private-network \
  --machine="roostpackage$$" </dev/null >"$work/console" 2>&1 &
container=$!
disown
run() { nsenter --target "$init" --mount --uts --ipc --net --pid --cgroup --root env --chdir=/ PATH=/usr/sbin:/usr/bin sh -c "$1" 2>&1; }
# holds COMMAND: it has to work, within a minute.
holds() {
  local said
  for _ in $(seq 120); do
    # systemd-nspawn has other children before the container's first process.
    if [ -z "$init" ] || ! kill -0 "$init" 2>/dev/null; then init=$(pgrep -P "$container" | head -1 || true); fi
    if [ -n "$init" ] && said=$(run "$1"); then return; fi
    sleep 0.5
  done
  printf 'package: does not hold: %s\n%s\n' "$1" "${said:-}" >&2
  exit 1
}

# certificate puts one for localhost into the settings.
certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$root/etc/roost/key.pem" -out "$root/etc/roost/cert.pem" 2>>"$work/log"
  run 'chown root:roost /etc/roost/*.pem && chmod 640 /etc/roost/*.pem'
  printf '%s\n' WS_TLS_CERT_FILE=/etc/roost/cert.pem WS_TLS_KEY_FILE=/etc/roost/key.pem >>"$root/etc/roost/roost.env"
  cp "$root/etc/roost/roost.env" "$root/root/settings"
}

holds 'systemctl is-active multi-user.target redis-server'
holds 'dpkg -i /root/roost.deb'
holds '[ "$(stat -c "%a %U:%G" /etc/roost/roost.env)" = "640 root:roost" ] && grep -qE "^JWT_SECRET_KEY=[0-9a-f]{64}$" /etc/roost/roost.env'
holds '[ "$(zcat /usr/share/man/man1/roost.1.gz | head -c 3)" = ".TH" ] && bash -n /usr/share/bash-completion/completions/roost'
holds 'systemctl is-active roost && systemctl is-enabled roost && curl -sS --fail http://localhost:8082/health'
holds '(timeout 10 roost listen alice >/tmp/heard 2>/tmp/said &); until grep -q connected /tmp/said; do sleep 0.1; done; roost publish alice "{\"type\":\"greeting\"}" && until grep -q greeting /tmp/heard; do sleep 0.1; done'
before=$(run 'systemctl show -P MainPID roost' | tail -1)
holds 'cp /etc/roost/roost.env /tmp/settings && dpkg -i /root/later.deb'
holds "[ \"\$(systemctl show -P MainPID roost)\" != $before ] && [ \"\$(systemctl show -P NRestarts roost)\" = 0 ] && systemctl is-active roost"
holds 'curl -sS --fail http://localhost:8082/health && cmp /etc/roost/roost.env /tmp/settings'
# The ports as systemd's: the first client starts the service, also over TLS.
certificate
holds 'systemctl stop roost && systemctl start roost.socket roost-tls.socket && ! systemctl is-active roost'
holds 'curl -sS --fail http://localhost:8081/health && systemctl is-active roost'
holds 'curl -sS --fail --cacert /etc/roost/cert.pem https://localhost/health'
before=$(run 'systemctl show -P MainPID roost' | tail -1)
holds 'dpkg -i /root/later.deb'
holds "[ \"\$(systemctl show -P MainPID roost)\" != $before ] && curl -sS --fail --cacert /etc/roost/cert.pem https://localhost/health"
holds 'dpkg -r roost && ! systemctl is-active roost roost.socket roost-tls.socket && [ ! -e /usr/bin/roost ] && cmp /etc/roost/roost.env /root/settings && id roost'
holds 'dpkg -P roost && [ ! -e /etc/roost ] && ! id roost'
echo 'package: installed, upgraded without a restart, removed and purged'

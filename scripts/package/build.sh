#!/usr/bin/env bash
# Builds the package for Debian, for scripts/release.sh: build.sh VERSION ARCHITECTURE PROGRAM EXTRAS OUT
# SOURCE_DATE_EPOCH is the time of everything in it.
set -euo pipefail
version=$1 architecture=$2 program=$3 extras=$4 out=$5
here=$(cd "$(dirname "$0")" && pwd)
scripts=$(dirname "$here")
umask 022
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"

put() { install -D -m "$1" "$2" "$tree/$3"; }
put 755 "$program" usr/bin/roost
put 644 "$scripts/roost.sysctl.conf" usr/lib/sysctl.d/60-roost.conf
put 644 "$extras/roost.1.gz" usr/share/man/man1/roost.1.gz
put 644 "$extras/roost.bash" usr/share/bash-completion/completions/roost
put 644 "$extras/roost.zsh" usr/share/zsh/vendor-completions/_roost
put 644 "$extras/roost.fish" usr/share/fish/vendor_completions.d/roost.fish
put 644 "$scripts/../LICENSE" usr/share/doc/roost/copyright
mkdir -p "$tree/usr/lib/systemd/system"
for unit in roost.service roost-upgrade.service roost.socket roost-tls.socket; do # the package's program is in /usr/bin, and its installation needs no instructions
  sed -e 's|/usr/local/bin/roost|/usr/bin/roost|' -e '/^\[Unit\]/,$!d' "$scripts/$unit" >"$tree/usr/lib/systemd/system/$unit"
done
mkdir -p "$tree/DEBIAN"
for script in postinst prerm postrm; do put 755 "$here/$script" "DEBIAN/$script"; done
size=$(du -k --apparent-size -s "$tree" | cut -f1)
number=${version#v}
cat >"$tree/DEBIAN/control" <<END
Package: roost
Version: ${number/-/\~}
Architecture: $architecture
Maintainer: The maintainers of Roost <root@localhost>
Installed-Size: $size
Depends: passwd
Recommends: redis-server
Section: net
Priority: optional
Description: WebSocket notifications from Redis to the browser
 Backends publish a line to Redis, or post to an HTTP port, and every open
 WebSocket of the user receives it. Made for 100,000 and more mostly idle
 connections on one machine.
END
find "$tree" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zgzip --build "$tree" "$out/roost_${number/-/\~}_$architecture.deb" >/dev/null

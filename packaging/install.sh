#!/bin/sh
# Installs this folder's gateway as the service mqtt2go, or updates one that is there. Data and settings stay.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=${DESTDIR:-}
version=$(cat "$here/VERSION")

if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
  echo "install.sh: run it as root (sudo ./install.sh)" >&2
  exit 1
fi
if ! "$here/bin/node" --version >/dev/null 2>&1; then
  echo "install.sh: this package is for another kind of machine, not for $(uname -m)" >&2
  exit 1
fi

if [ -z "$root" ] && ! id mqtt2go >/dev/null 2>&1; then
  useradd --system --user-group --home-dir /var/lib/mqtt2go --no-create-home --shell /usr/sbin/nologin mqtt2go
fi

# A folder for each version: the one that runs stays whole until the link to the new one is in place.
target="$root/opt/mqtt2go-$version"
mkdir -p "$root/opt"
if [ "$here" != "$target" ]; then
  rm -rf "$target.new"
  cp -R "$here" "$target.new"
  rm -rf "$target"
  mv "$target.new" "$target"
fi
ln -sfn "mqtt2go-$version" "$root/opt/mqtt2go.new"
mv -T "$root/opt/mqtt2go.new" "$root/opt/mqtt2go"

mkdir -p "$root/etc/mqtt2go" "$root/etc/systemd/system" "$root/usr/local/bin"
[ -e "$root/etc/mqtt2go/mqtt2go.env" ] || cp "$here/mqtt2go.env" "$root/etc/mqtt2go/mqtt2go.env"
cp "$here/systemd/mqtt2go.service" "$root/etc/systemd/system/mqtt2go.service"
ln -sfn /opt/mqtt2go/bin/mqtt2go "$root/usr/local/bin/mqtt2go"
sync

if [ -z "$root" ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  systemctl enable mqtt2go
  systemctl restart mqtt2go
  echo "MQTT2GO $version runs. Its log: journalctl -u mqtt2go; the command line: sudo -u mqtt2go mqtt2go --data /var/lib/mqtt2go"
else
  echo "MQTT2GO $version is installed."
fi

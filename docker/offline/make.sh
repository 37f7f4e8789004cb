#!/usr/bin/env bash
# Makes stand-ins for the official base images from Debian's packages, for machines without a container registry:
# mqtt2go/offline-base, -node, -mosquitto, -postgres and -rabbitmq. What exists and is current is left alone.
#
#   docker/offline/make.sh [node|mosquitto|postgres|rabbitmq ...]     (all, without arguments)
#
# Needs root, debootstrap and a Docker engine whose containers reach the mirror. DEBIAN_MIRROR names another mirror.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

suite=forky
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
images=("$@")
[ $# -gt 0 ] || images=(node mosquitto postgres rabbitmq)
label=org.mqtt2go.inputs

say() { printf 'offline images: %s\n' "$*"; }
is_current() { [ "$(docker image inspect --format "{{index .Config.Labels \"$label\"}}" "$1" 2>/dev/null)" = "$2" ]; }
hash_of() { cat "$@" | sha256sum | cut -c1-32; }

# Documentation, manuals and translations are a third of Debian's smallest system, and nobody reads them here.
make_base() {
  local folder status=0
  folder=$(mktemp -d /var/tmp/mqtt2go-base.XXXXXX)
  chmod 755 "$folder"
  # debootstrap before Debian 13 does not know the suite's name; the script for sid fits it.
  debootstrap --variant=minbase "$suite" "$folder" "$mirror" sid >"$folder.log" 2>&1 || status=$?
  if [ "$status" -ne 0 ]; then
    tail -n 20 "$folder.log" >&2
    say "debootstrap failed ($status)"
    rm -rf "$folder" "$folder.log"
    return "$status"
  fi
  cp base.dpkg.cfg "$folder/etc/dpkg/dpkg.cfg.d/small"
  cp base.apt.conf "$folder/etc/apt/apt.conf.d/small"
  printf 'deb %s %s main\n' "$mirror" "$suite" >"$folder/etc/apt/sources.list"
  rm -rf "$folder"/var/cache/apt/* "$folder"/var/lib/apt/lists/* "$folder"/var/log/* "$folder"/usr/share/man/* \
    "$folder"/usr/share/info/* "$folder"/usr/share/locale/* "$folder"/debootstrap
  find "$folder/usr/share/doc" -mindepth 1 ! -type d ! -name copyright -delete
  tar --numeric-owner -C "$folder" -c . |
    docker import --change "LABEL $label=$1" --change 'CMD ["/bin/bash"]' - mqtt2go/offline-base:latest >/dev/null
  rm -rf "$folder" "$folder.log"
}

make_image() {
  local name=$1 inputs=$2 log status=0
  log=$(mktemp)
  docker build --quiet --label "$label=$inputs" --tag "mqtt2go/offline-$name:latest" --file "$name.Dockerfile" . \
    >"$log" 2>&1 || status=$?
  # The quiet build says nothing of why it failed.
  if [ "$status" -ne 0 ]; then
    docker build --tag "mqtt2go/offline-$name:latest" --file "$name.Dockerfile" . 2>&1 | tail -n 40 >&2 || true
    say "the image for $name failed"
  fi
  rm -f "$log"
  return "$status"
}

base_inputs=$({ echo "$suite $mirror"; cat make.sh base.dpkg.cfg base.apt.conf; } | sha256sum | cut -c1-32)
if ! is_current mqtt2go/offline-base "$base_inputs"; then
  [ "$(id -u)" -eq 0 ] || { say 'the base is made by debootstrap, which needs root'; exit 1; }
  command -v debootstrap >/dev/null || { say 'debootstrap is missing: apt-get install debootstrap'; exit 1; }
  started=$SECONDS
  make_base "$base_inputs"
  say "base made in $((SECONDS - started)) s"
fi
base_id=$(docker image inspect --format '{{.Id}}' mqtt2go/offline-base)

declare -A running=()
for name in "${images[@]}"; do
  files=("$name.Dockerfile")
  [ ! -f "$name-entrypoint.sh" ] || files+=("$name-entrypoint.sh")
  inputs=$({ echo "$base_id"; hash_of "${files[@]}"; } | sha256sum | cut -c1-32)
  is_current "mqtt2go/offline-$name" "$inputs" && continue
  (
    started=$SECONDS
    make_image "$name" "$inputs" && say "$name made in $((SECONDS - started)) s"
  ) &
  running[$name]=$!
done
failed=0
for name in "${!running[@]}"; do wait "${running[$name]}" || failed=1; done
exit "$failed"

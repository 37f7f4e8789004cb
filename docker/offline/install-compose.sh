#!/usr/bin/env bash
# Installs `docker compose` from Debian's packages where it is missing; needs mqtt2go/offline-base (make.sh).
set -euo pipefail
docker compose version >/dev/null 2>&1 && exit 0
plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins
container=mqtt2go-compose-$$
trap 'docker rm --force "$container" >/dev/null 2>&1 || true' EXIT
docker run --name "$container" mqtt2go/offline-base sh -ec '
  apt-get update -qq
  cd /tmp
  apt-get download -qq docker-compose
  dpkg -x docker-compose_*.deb package
' >/dev/null
mkdir -p "$plugins"
docker cp "$container:/tmp/package/usr/libexec/docker/cli-plugins/docker-compose" "$plugins/docker-compose"
docker compose version

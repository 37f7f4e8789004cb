#!/usr/bin/env bash
# The part of the official image's entrypoint that this project uses: POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD or
# POSTGRES_PASSWORD_FILE, PGDATA, and scripts in /docker-entrypoint-initdb.d, at the first start.
set -euo pipefail

if [ "${1:-postgres}" = postgres ] || [ "${1:0:1}" = - ]; then
  [ "${1:0:1}" != - ] || set -- postgres "$@"
  if [ "$(id -u)" -eq 0 ]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    chown -R postgres "$PGDATA" /var/run/postgresql
    exec setpriv --reuid postgres --regid postgres --init-groups "$BASH" "${BASH_SOURCE[0]}" "$@"
  fi

  if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=${POSTGRES_USER:-postgres}
    database=${POSTGRES_DB:-$user}
    password=${POSTGRES_PASSWORD:-}
    [ -z "${POSTGRES_PASSWORD_FILE:-}" ] || password=$(<"$POSTGRES_PASSWORD_FILE")
    if [ -z "$password" ]; then
      echo 'POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE has to be set for the first start.' >&2
      exit 1
    fi
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    initdb --username="$user" --pwfile=<(printf '%s\n' "$password") --auth-host=scram-sha-256 --auth-local=trust \
      >/dev/null
    printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait start --options "-c listen_addresses=''" >/dev/null
    if [ "$database" != postgres ]; then
      psql --quiet --username="$user" --dbname=postgres --set=ON_ERROR_STOP=1 --set=name="$database" \
        <<<'CREATE DATABASE :"name";'
    fi
    for script in /docker-entrypoint-initdb.d/*; do
      case $script in
        *.sh) "$BASH" "$script" ;;
        *.sql) psql --quiet --username="$user" --dbname="$database" --set=ON_ERROR_STOP=1 --file="$script" ;;
      esac
    done
    pg_ctl --wait --mode=fast stop >/dev/null
  fi
  # The official image listens to the network by default too; its port is published by nobody but whoever asks.
  [ $# -gt 0 ] || set -- postgres
  shift
  exec postgres -c listen_addresses='*' "$@"
fi
exec "$@"

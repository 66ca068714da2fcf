#!/usr/bin/env bash
# Sees to it that the database servers which the tests start are on this machine: PostgreSQL (initdb, postgres) and MariaDB (for the
# MySQL dialect). Where apt-get is and root may be had, Debian's packages are installed; no service is started. Else it fails and says
# what to install. Nothing happens when they are there.
set -euo pipefail

postgresql() {
  command -v initdb > /dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' > /dev/null || compgen -G '/usr/pgsql-*/bin/initdb' > /dev/null ||
    [ -x /usr/local/pgsql/bin/initdb ] || compgen -G '/opt/homebrew/opt/postgresql@*/bin/initdb' > /dev/null ||
    compgen -G '/usr/local/opt/postgresql@*/bin/initdb' > /dev/null
}

# mariadb-install-db is a script that calls my_print_defaults, which Debian's server package does not depend on.
mariadb() {
  PATH=$PATH:/usr/sbin:/usr/libexec command -v mariadbd > /dev/null && command -v mariadb-install-db > /dev/null && command -v my_print_defaults > /dev/null
}

missing=()
postgresql || missing+=(postgresql)
mariadb || missing+=(mariadb-server-core mariadb-client-core)
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
if command -v apt-get > /dev/null && "${as_root[@]}" true 2> /dev/null; then
  echo "installing ${missing[*]} for the tests"
  # The package would make a cluster and start it; the tests start their own.
  if [[ " ${missing[*]} " == *' postgresql '* ]] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    "${as_root[@]}" mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf > /dev/null
  fi
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold "${missing[@]}"
fi
if ! postgresql || ! mariadb; then
  echo "The tests start servers of their own and need PostgreSQL 14 or later and MariaDB 10.6 or later:" >&2
  echo "  Debian, Ubuntu:  apt-get install postgresql mariadb-server-core mariadb-client-core" >&2
  echo "  Fedora:          dnf install postgresql-server mariadb-server" >&2
  echo "  macOS:           brew install postgresql@17 mariadb" >&2
  exit 1
fi

#!/bin/sh
# The tests run a real Kafka and a real Elasticsearch, which need Java 17 or newer and, for the download, Maven.
set -eu
missing=""
command -v java >/dev/null 2>&1 || missing="openjdk-17-jdk-headless"
command -v mvn >/dev/null 2>&1 || missing="$missing maven"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && [ "${CI:-}" = true ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
    exit 0
fi
echo "The tests start a real Kafka and a real Elasticsearch and need Java 17+ and Maven: install $missing (Debian, Ubuntu: apt-get install $missing)." >&2
exit 1

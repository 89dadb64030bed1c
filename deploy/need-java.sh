#!/bin/sh
# The tests run a real Kafka and a real Elasticsearch, which need Java 17 or newer and, for the download, Maven.
set -eu
java="openjdk-17-jdk-headless"
maven="maven"
command -v java >/dev/null 2>&1 && java=""
command -v mvn >/dev/null 2>&1 && maven=""
[ -z "$java$maven" ] && exit 0
if [ "$(id -u)" = 0 ] && [ "${CI:-}" = true ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq
    if [ -n "$java" ] && ! apt-cache show "$java" >/dev/null 2>&1; then
        java="default-jdk-headless" # a distribution that no longer has 17 has a newer one
    fi
    # shellcheck disable=SC2086  # none, one or two packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $java $maven >/dev/null
    exit 0
fi
missing=$(echo $java $maven)
echo "The tests start a real Kafka and a real Elasticsearch and need Java 17+ and Maven: install $missing (Debian, Ubuntu: apt-get install $missing)." >&2
exit 1

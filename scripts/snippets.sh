#!/usr/bin/env bash
# Runs every snippet of docs/publishing.md and README.md, in every language, against a
# real Redis and a real Roost. `make test` runs those whose language is installed;
# this installs the rest: packages through apt-get, what npm and Maven have into
# bin/snippets. Where Maven can't fetch, JEDIS_JARS names a directory with Jedis'
# jar and those that it needs.
set -euo pipefail
cd "$(dirname "$0")/.."

have() { command -v "$1" >/dev/null; }
wanted=()
/usr/bin/python3 -c 'import redis, jwt' 2>/dev/null || wanted+=(python3-redis python3-jwt)
php -r 'exit(extension_loaded("redis") ? 0 : 1);' 2>/dev/null || wanted+=(php-cli php-redis)
have node || wanted+=(nodejs)
have npm || wanted+=(npm)
have javac || wanted+=(default-jdk-headless)
if [ -z "${JEDIS_JARS:-}" ] && ! have mvn; then
  wanted+=(maven)
fi
scripts/deps.sh "${wanted[@]}"

installed=bin/snippets
mkdir -p $installed/java
npm install --silent --no-audit --no-fund --prefix $installed redis
if [ -n "${JEDIS_JARS:-}" ]; then
  cp "$JEDIS_JARS"/*.jar $installed/java/
elif ! compgen -G "$installed/java/*.jar" >/dev/null; then
  cat >$installed/pom.xml <<'POM'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>snippets</groupId>
  <artifactId>snippets</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>redis.clients</groupId>
      <artifactId>jedis</artifactId>
      <version>8.0.2</version>
    </dependency>
  </dependencies>
</project>
POM
  mvn -q -B -f $installed/pom.xml dependency:copy-dependencies -DoutputDirectory=java || {
    echo 'Maven could not fetch Jedis: name a directory that has its jars in JEDIS_JARS.' >&2
    exit 1
  }
fi

SNIPPETS_ALL=true go test -count=1 -timeout 5m -v -run '^(TestSnippets|TestSnippetsOverHTTP|TestReadme)$' ./cmd/roost/internal/e2e/docs

#!/usr/bin/env bash
# Gives the module the path of its repository, so that go install can fetch it: module-path.sh example.com/org/roost
#
# Rewrites go.mod and the imports of all modules of this checkout, and the docs' words about it. It commits nothing. A second run with
# another path replaces the first one's.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  printf 'module-path: %s\n' "$*" >&2
  exit 1
}

new=${1:-}
old=$(GOWORK=off go list -m)
usage='want the path of the repository without https://, such as example.com/org/roost (make module-path MODULE=example.com/org/roost)'
[ -n "$new" ] || fail "no path: $usage"
[[ $new =~ ^[a-z0-9][a-z0-9.-]*\.[a-z]+(/[A-Za-z0-9._~-]+)+$ ]] || fail "\"$new\" is no path that go install can fetch: $usage"
[[ $new != *.git ]] || fail "\"$new\" ends with .git, which go install leaves out: give it without"
[[ ! $new =~ /v[01]$ ]] || fail "\"$new\" ends with a version: versions 0 and 1 have none in the path, later ones have /v2 and so on"
[ "$new" != "$old" ] || fail "the module is $old already"

mapfile -t modules < <(find . -name go.mod -not -path '*/node_modules/*' -not -path './bin/*' | sort)
for file in "${modules[@]}"; do
  path=$(GOWORK=off go mod edit -json "$file" | sed -n 's/^\t\t"Path": "\(.*\)"$/\1/p' | head -1)
  [[ $path = "$old" || $path = "$old"/* ]] || fail "$file says module $path, which is not below $old"
  GOWORK=off go mod edit -module "$new${path#"$old"}" "$file"
done

# Imports have a line each. The other strings that name a package are the program that tests build; the rest is data of tests.
quoted=$(printf '%s' "$old" | sed 's/[.~]/\\&/g')
mapfile -t files < <(grep -rlE --include='*.go' "\"$quoted/" . | sort)
sed -i -E \
  -e "s#^([[:space:]]*(import[[:space:]]+)?([A-Za-z_.][A-Za-z0-9_]*[[:space:]]+)?\")$quoted(/[^\"]+\"([[:space:]]*//.*)?)\$#\1$new\4#" \
  -e "s#\"$quoted/cmd/roost\"#\"$new/cmd/roost\"#g" "${files[@]}"
gofmt -w "${files[@]}" # another path has another place among the imports

# The docs: what lies between the two marks.
paragraph() {
  cat <<END
The module is called \`$new\`. \`go install $new/cmd/roost@latest\` fetches the newest tag of the repository of that
name, once the tag is pushed; nothing else has to be done. \`make module-path MODULE=…\` gives the module another path.
END
}
awk -v text="$(paragraph)" '
  /<!-- module path -->/ { print; print text; skip = 1; next }
  /<!-- \/module path -->/ { skip = 0 }
  !skip' CONTRIBUTING.md >CONTRIBUTING.md.new
grep -qF "$new/cmd/roost@latest" CONTRIBUTING.md.new || fail 'CONTRIBUTING.md has no <!-- module path -->'
mv CONTRIBUTING.md.new CONTRIBUTING.md

cat <<END
module-path: $old is $new now, in ${#modules[@]} files go.mod and ${#files[@]} files with imports. Next:
  go build ./... && git commit --all --message 'go.mod: the module has the path of its repository'
  git tag v0.9.0 && git push --tags
  go install $new/cmd/roost@v0.9.0
END

// Package front holds no code but tests: Roost behind the proxies whose configurations are in scripts/proxy. Each test
// runs the real nginx and the real HAProxy with the file as it is shipped, but for paths, ports and what it says itself.
//
// Where a proxy is not installed its tests are skipped; in CI (CI=true) they fail.
package front

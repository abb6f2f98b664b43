// Package front holds no code but tests: Roost behind the proxies whose configurations are in scripts/proxy. Each test
// runs the real nginx and the real HAProxy with the shipped file; only paths, ports and the lines that the file itself
// names are changed.
//
// Where a proxy is not installed its tests are skipped; in CI (CI=true) they fail.
package front

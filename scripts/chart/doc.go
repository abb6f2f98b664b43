// Package chart tests the Helm chart in roost: it renders it as helm does, decodes what comes out into Kubernetes' own types, and has the code
// of its API server check it.
//
// It is a module of its own, so that the server's go.mod has nothing of Kubernetes. kubernetes.yaml is what the chart makes of its
// default values and of values-all.yaml, for those who use no helm:
//
//	WRITE_MANIFESTS=true go test ./...
package chart

// Package cluster is the only one that knows the API server: it watches what is wanted of this node and reports what became of it.
package cluster

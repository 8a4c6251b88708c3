// Package cluster_test has agent/cluster speak with a real API server, and takes from an agent what it stands on.
package cluster_test

import (
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

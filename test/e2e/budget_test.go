package e2e_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
)

// limits are what an agent may weigh at most, whatever the budget says. Memory is in KiB, at 50 registries.
var limits = map[string]int64{"binary-bytes": 26e6, "rss-kib": 30 << 10, "rss-anon-kib": 12 << 10}

// TestTheAgentStaysWithinItsBudget prints what the agent weighs, and fails where that has grown by a tenth since budget.txt was written.
func TestTheAgentStaysWithinItsBudget(t *testing.T) {
	c := member(t, "containerd-2.4", configV3+quiet, "mirrorlet.dev/enabled=true")
	var document strings.Builder
	document.WriteString("apiVersion: mirrorlet.dev/v1alpha1\nkind: MirrorConfig\nmetadata: {name: cluster}\nspec:\n  registries:\n")
	for i := range 50 {
		fmt.Fprintf(&document, "  - prefix: registry-%d.example\n    mirrors: [{location: %q, ca: {configMapRef: {name: lab-ca}}}]\n", i, c.Mirror.URL())
	}
	_, err := c.API.Apply(document.String())
	must(t, err)
	stripped, err := site.BuildRelease(lab.Scratch())
	must(t, err)
	info, err := os.Stat(stripped)
	must(t, err)
	m := agent(t, c, "--listen=127.0.0.1:9353")
	must(t, c.Obeyed("Proven"))
	weighs := map[string]int64{"binary-bytes": info.Size(), "rss-kib": status(t, m.PID(), "VmRSS"), "rss-anon-kib": status(t, m.PID(), "RssAnon")}
	for what, budget := range budget(t) {
		got := weighs[what]
		t.Logf("%-12s %9d, budget %9d, limit %9d", what, got, budget, limits[what])
		if got == 0 || got > limits[what] || got > budget+budget/10 {
			t.Errorf("%s is %d: more than the limit, %d, or a tenth more than budget.txt has, %d; make it less, or say why it must be so and change the budget", what, got, limits[what], budget)
		}
	}
}

// budget is what the agent weighed when somebody last looked.
func budget(t *testing.T) map[string]int64 {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "budget.txt"))
	must(t, err)
	all := map[string]int64{}
	for line := range strings.Lines(string(data)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), " "); found && name != "#" {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			must(t, err)
			all[name] = n
		}
	}
	if len(all) != len(limits) {
		t.Fatalf("budget.txt has %d lines for %d limits", len(all), len(limits))
	}
	return all
}

// status is a number of a process's /proc/PID/status, in KiB.
func status(t *testing.T, pid int, field string) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), field+":"); found {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			must(t, err)
			return n
		}
	}
	t.Fatalf("no %s in the status of process %d", field, pid)
	return 0
}

package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
)

// agentProcess is the one process of a worker that is an agent, by its number here.
func agentProcess(t *testing.T, w *lab.Worker) int {
	t.Helper()
	home, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", w.Containerd.PID()))
	must(t, err)
	all, err := filepath.Glob("/proc/[0-9]*")
	must(t, err)
	var found []int
	for _, dir := range all { // what ends meanwhile cannot be read, and is none
		argv, _ := os.ReadFile(dir + "/cmdline")
		network, _ := os.Readlink(dir + "/ns/net")
		if strings.HasPrefix(string(argv), "/mirrorlet\x00agent\x00") && network == home {
			pid, err := strconv.Atoi(filepath.Base(dir))
			must(t, err)
			found = append(found, pid)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s has the agents %v", w.Name, found)
	}
	return found[0]
}

// listens checks that a process listens on the two ports that it should, on loopback, and on nothing else.
func listens(t *testing.T, pid int) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d", pid)
	sockets := map[string]bool{}
	files, err := filepath.Glob(proc + "/fd/*")
	must(t, err)
	for _, file := range files {
		target, _ := os.Readlink(file)
		if inode, found := strings.CutPrefix(target, "socket:["); found {
			sockets[strings.TrimSuffix(inode, "]")] = true
		}
	}
	var all []string
	for _, family := range []string{"tcp", "tcp6", "udp", "udp6", "raw", "raw6"} {
		table, err := os.ReadFile(proc + "/net/" + family)
		must(t, err)
		for _, line := range strings.Split(string(table), "\n")[1:] {
			if f := strings.Fields(line); len(f) > 9 && sockets[f[9]] && (f[3] == "0A" || family[:3] != "tcp") { // proc(5): 0A is TCP_LISTEN
				all = append(all, family+" "+f[1])
			}
		}
	}
	slices.Sort(all)
	// 127.0.0.1, in the byte order of the machine, at 9353 and 9354.
	if got, want := strings.Join(all, ", "), "tcp 0100007F:2489, tcp 0100007F:248A"; got != want {
		t.Errorf("it listens on %q, want %q", got, want)
	}
	table, err := os.ReadFile(proc + "/net/unix")
	must(t, err)
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 6 && sockets[f[6]] && f[3] == "00010000" { // proc(5): __SO_ACCEPTCON
			t.Errorf("it listens on a socket: %s", line)
		}
	}
}

// unwritten checks that a container may not write into its own root file system, and that nothing is there.
func unwritten(t *testing.T, w *lab.Worker, id string) {
	t.Helper()
	data, err := os.ReadFile(w.Path("/run/containerd/io.containerd.runtime.v2.task/k8s.io/" + id + "/config.json"))
	must(t, err)
	var spec struct{ Root struct{ Readonly bool } }
	must(t, json.Unmarshal(data, &spec))
	if !spec.Root.Readonly {
		t.Error("the root file system of the container can be written")
	}
	mounts, err := w.Run("cat", "/proc/mounts")
	must(t, err)
	found := regexp.MustCompile(`(?m)/` + id + `/rootfs overlay .*upperdir=([^, ]*)`).FindStringSubmatch(mounts)
	if found == nil {
		t.Fatalf("there is no overlay for the container:\n%s", mounts)
	}
	must(t, filepath.WalkDir(w.Path(found[1]), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() > 0 { // an empty one is where something is mounted
			t.Errorf("the container has %s, of %d bytes", strings.TrimPrefix(p, w.Path(found[1])), info.Size())
		}
		return err
	}))
}

// discreet checks that no secret is in what agents have logged and told so far.
func (e *estate) discreet(t *testing.T) {
	t.Helper()
	told, err := e.Kubectl("get", "events,mirrornodes", "--all-namespaces", "--output=yaml")
	must(t, err)
	for _, w := range e.Workers {
		logs, err := site.Logs(w)
		must(t, err)
		if !strings.Contains(logs, "msg=") {
			t.Errorf("%s has no logs", w.Name)
		}
		told += logs
		tokens, err := filepath.Glob(w.HostRoot() + "/var/lib/kubelet/pods/*/volumes/kubernetes.io~projected/*/token")
		must(t, err)
		for _, file := range tokens {
			token, err := os.ReadFile(file)
			must(t, err)
			if strings.Contains(told, string(token)) {
				t.Errorf("%s: a token of a service account is told", w.Name)
			}
		}
		if len(tokens) == 0 {
			t.Errorf("%s has no token", w.Name)
		}
	}
	for _, secret := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte("robot:" + canary))} {
		if strings.Contains(told, secret) {
			t.Errorf("%s is told", secret)
		}
	}
}

package agent

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/host"
	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/containerd"
)

func document(registries string) []byte {
	return []byte("apiVersion: mirrorlet.dev/v1alpha1\nkind: MirrorConfig\nmetadata: {name: cluster}\nspec:\n  registries:\n" + registries)
}

const (
	quay = "  - {prefix: quay.io, mirrors: [{location: https://m.example.com}]}\n"
	ghcr = "  - {prefix: ghcr.io, mirrors: [{location: https://m.example.com}]}\n"
)

// at is a path of the agent's host, from outside.
func at(a *Agent, path string) string { return filepath.Join(a.Host.Root(), path) }

func put(t *testing.T, a *Agent, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at(a, path)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at(a, path), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func get(a *Agent, path string) string {
	data, _ := os.ReadFile(at(a, path))
	return string(data)
}

func reasons(r Report) []runtimes.Reason {
	var out []runtimes.Reason
	for _, p := range r.Problems {
		out = append(out, p.Reason)
	}
	return out
}

const quayFile = "/etc/containerd/certs.d/quay.io/hosts.toml"

func TestAPassThatFindsNothingToDoSaysNothing(t *testing.T) {
	a, _ := pretended(t, document(quay))
	var log bytes.Buffer
	a.Log = slog.New(slog.NewTextHandler(&log, nil))
	if !pass(t, a).Applied || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("the first pass logged %q", log.String())
	}
	for range 3 {
		if r := pass(t, a); r.Applied || r.State != Applied {
			t.Errorf("a further pass came to %+v", r)
		}
	}
	if strings.Count(log.String(), "\n") != 1 {
		t.Errorf("further passes logged %q", log.String())
	}
}

func TestAnEditAfterAPassIsSeenByTheNext(t *testing.T) {
	a, file := pretended(t, document(quay))
	for i := range 20 {
		location := strings.Replace(quay, "m.example", "m"+strings.Repeat("x", i%3)+".example", 1)
		write(t, file, document(location))
		pass(t, a)
		if want := strings.Split(strings.Split(location, "location: ")[1], "}")[0]; !strings.Contains(get(a, quayFile), want) {
			t.Fatalf("edit %d: %s is not in %s", i, want, get(a, quayFile))
		}
	}
}

func TestAFileOfOursThatIsChangedIsPutBack(t *testing.T) {
	a, _ := pretended(t, document(quay))
	pass(t, a)
	ours := get(a, quayFile)
	put(t, a, quayFile, "# mine\n")
	if r := pass(t, a); get(a, quayFile) != ours || !slices.Contains(reasons(r), runtimes.ForeignEdit) {
		t.Errorf("it is %q, problems %v", get(a, quayFile), r.Problems)
	}
}

func TestWhatTheRuntimeWouldMisreadIsNotWritten(t *testing.T) {
	a, file := pretended(t, document(quay))
	put(t, a, "/etc/containerd/certs.d/quay.io/ca.crt", "no certificate")
	write(t, file, document(quay+ghcr))
	r := pass(t, a)
	if get(a, quayFile) != "" || !slices.Contains(reasons(r), runtimes.RuntimeMismatch) {
		t.Errorf("written: %q, problems %v", get(a, quayFile), r.Problems)
	}
	if get(a, "/etc/containerd/certs.d/ghcr.io/hosts.toml") == "" {
		t.Error("the other registry was not written")
	}
	for _, p := range r.Problems {
		if strings.Contains(p.Message, "stage") || strings.Contains(p.Message, a.Host.Root()) {
			t.Errorf("the message names the copy: %s", p.Message)
		}
	}
}

func TestAPausedHostIsLeftAlone(t *testing.T) {
	a, file := pretended(t, document(quay))
	put(t, a, "/var/lib/mirrorlet/pause", "")
	if r := pass(t, a); r.State != Paused || get(a, quayFile) != "" {
		t.Errorf("state %s, written %q", r.State, get(a, quayFile))
	}
	if err := os.Remove(at(a, "/var/lib/mirrorlet/pause")); err != nil {
		t.Fatal(err)
	}
	pass(t, a)
	put(t, a, "/var/lib/mirrorlet/pause", "")
	before := get(a, quayFile)
	write(t, file, document(ghcr))
	if r := pass(t, a); r.State != Paused || get(a, quayFile) != before {
		t.Errorf("state %s, now %q", r.State, get(a, quayFile))
	}
}

func TestTheLastDocumentCountsAsGoneOnlyAfterAWhile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "cluster.yaml")
	write(t, file, document(quay))
	config, err := host.OpenConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { config.Close() })
	a, _ := pretended(t, nil)
	var now time.Duration
	a.Documents, a.Patience, a.Uptime = NewFolder(config, time.Now), time.Minute, func() time.Duration { return now }
	pass(t, a)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if r := pass(t, a); !r.Waiting || get(a, quayFile) == "" {
			t.Errorf("after %v: waiting %v, file %q", now, r.Waiting, get(a, quayFile))
		}
		now += 25 * time.Second
	}
	if pass(t, a); get(a, quayFile) != "" {
		t.Error("it is still there after a minute")
	}
}

func TestDocumentsThatAreWrongChangeNothing(t *testing.T) {
	a, file := pretended(t, document(quay))
	pass(t, a)
	before := get(a, quayFile)
	for _, wrong := range []string{"kind: [", "kind: MirrorConfig\n", ""} {
		write(t, file, []byte(wrong))
		if wrong == "" {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := a.Sync(context.Background()); err == nil || r.State != Refused || get(a, quayFile) != before {
			t.Errorf("%q: %v, state %s, file %q", wrong, err, r.State, get(a, quayFile))
		}
	}
}

func TestASecretThatGoesKeepsTheLastGoodValue(t *testing.T) {
	const login = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: robot}\nstringData: {username: robot, password: canary}\n"
	with := string(document("  - prefix: quay.io\n    mirrors: [{location: https://m.example.com, auth: {secretRef: {name: robot}}}]\n"))
	a, file := pretended(t, []byte(with+login))
	pass(t, a)
	before := get(a, quayFile)
	if info, err := os.Stat(at(a, quayFile)); err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(before, "Authorization") {
		t.Fatalf("%v, %v: %s", info.Mode(), err, before)
	}
	write(t, file, []byte(with))
	for range 2 {
		if r := pass(t, a); get(a, quayFile) != before || !slices.Contains(reasons(r), runtimes.UnresolvedReference) {
			t.Errorf("problems %v, file %q", r.Problems, get(a, quayFile))
		}
	}
}

func TestLeavingGivesBackAFailedHostToo(t *testing.T) {
	a, _ := pretended(t, document(quay))
	put(t, a, quayFile, "")
	pass(t, a)
	p, err := a.Leave(context.Background())
	if err != nil || len(p.Visible()) != 1 {
		t.Fatalf("%v: %v", err, p.Changes)
	}
	if data, err := os.ReadFile(at(a, quayFile)); err != nil || len(data) != 0 {
		t.Errorf("the owner's empty file is %q, %v", data, err)
	}
	if _, err := os.Stat(at(a, "/var")); err == nil {
		t.Error("/var was not there before and is still there")
	}
}

func TestWithoutARuntimeNothingIsWritten(t *testing.T) {
	a, _ := pretended(t, document(quay))
	a.Assume, a.Runtimes = nil, []runtimes.Runtime{containerd.Runtime{}}
	if _, err := a.Sync(context.Background()); err == nil || !strings.Contains(err.Error(), "no container runtime") {
		t.Errorf("got %v", err)
	}
	put(t, a, "/etc/containerd/config.toml", "version = 2\n")
	if r := pass(t, a); !slices.ContainsFunc(r.Found, func(f plan.Found) bool { return f.Facts.Runtime == "containerd" }) {
		t.Errorf("found %v", r.Found)
	}
}

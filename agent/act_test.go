package agent

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// pretender is a runtime that reads one drop-in for each registry when it starts, and when it is told to.
type pretender struct{ runtimes.Runtime }

const pretenderDir = "/etc/pretender.d/"

func (pretender) Name() string                 { return "pretender" }
func (pretender) Programs() []string           { return []string{"/usr/bin/pretenderd"} }
func (pretender) Assume(string) runtimes.Facts { return runtimes.Facts{Runtime: "pretender"} }

func (pretender) Detect(procs []runtimes.Process, _ fs.FS) (runtimes.Facts, []runtimes.Problem) {
	f := runtimes.Facts{Runtime: "pretender", Target: "/etc/pretender.d", Roots: []string{"/etc/pretender.d"}}
	for _, p := range procs {
		if p.PID != 0 {
			f.Process = p
		}
	}
	return f, nil
}

func (pretender) Render(_ runtimes.Facts, _ fs.FS, i runtimes.Intent) (files []runtimes.File, _ []runtimes.Problem) {
	for _, r := range i.Registries {
		files = append(files, runtimes.File{
			Path: pretenderDir + r.Prefix + ".conf", Content: []byte(r.Mirrors[0].Location() + "\n"), Mode: 0o644, Action: runtimes.Reload,
			Registry: r.Prefix, From: r.From,
		})
	}
	return files, nil
}

// Resolve says what is meant: what it really reads is no matter here.
func (pretender) Resolve(_ context.Context, _ runtimes.Facts, root string, ref runtimes.Ref) ([]runtimes.Endpoint, error) {
	location, err := os.ReadFile(root + pretenderDir + ref.Registry + ".conf")
	if err != nil {
		return nil, err
	}
	scheme, host, _ := strings.Cut(strings.TrimSpace(string(location)), "://")
	i := runtimes.Intent{Registries: []runtimes.Registry{{Prefix: ref.Registry, Mirrors: []runtimes.Mirror{{Scheme: scheme, Host: host}}}}}
	return i.Endpoints(ref), nil
}

// pretending is an agent on a host with a pretender that is installed, and its clock.
func pretending(t *testing.T, registries string) (*Agent, string, *time.Duration) {
	t.Helper()
	a, file := pretended(t, document(registries))
	a.Assume, a.Runtimes = nil, []runtimes.Runtime{pretender{}}
	shell, err := exec.LookPath("sh")
	must(t, err)
	content, err := os.ReadFile(shell)
	must(t, err)
	put(t, a, "/usr/bin/pretenderd", string(content))
	must(t, os.Chmod(at(a, "/usr/bin/pretenderd"), 0o755))
	now, _ := clock(a)
	return a, file, now
}

// started starts the pretender and returns what yields once for each time that it is told to read its files, and what ends it.
func started(t *testing.T, a *Agent) (reloads <-chan string, end func()) {
	t.Helper()
	cmd := exec.Command(at(a, "/usr/bin/pretenderd"), "-c", "trap 'echo reload' HUP; echo ready; while :; do read line; done")
	out, err := cmd.StdoutPipe()
	must(t, err)
	in, err := cmd.StdinPipe()
	must(t, err)
	heard := make(chan os.Signal, 1) // where this process was started to ignore SIGHUP, as by nohup, its children would ignore it as well
	signal.Notify(heard, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(heard) })
	must(t, cmd.Start())
	end = func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = in.Close() }
	t.Cleanup(end)
	said := make(chan string, 100)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said <- lines.Text()
		}
	}()
	<-said
	shown(t, a, cmd.Process.Pid)
	if found, err := a.Host.Processes("pretenderd"); err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	return said, end
}

// shown gives the host a /proc with a process of this machine in it, but for its root.
func shown(t *testing.T, a *Agent, pid int) {
	t.Helper()
	real := filepath.Join("/proc", strconv.Itoa(pid))
	must(t, os.MkdirAll(at(a, real), 0o755))
	must(t, os.Symlink(at(a, "/usr/bin/pretenderd"), at(a, real+"/exe")))
	must(t, os.Symlink("/proc/sys", at(a, "/proc/sys")))
	for _, name := range []string{"cmdline", "stat", "status", "ns", "cgroup"} {
		must(t, os.Symlink(filepath.Join(real, name), at(a, filepath.Join(real, name))))
	}
}

// reloaded says how often the pretender was told since it was asked last. The signal is there when a pass returns, and the shell answers it
// at once: a moment without another word means that none came.
func reloaded(said <-chan string) int {
	for n := 0; ; n++ {
		select {
		case <-said:
		case <-time.After(200 * time.Millisecond):
			return n
		}
	}
}

func pending(t *testing.T, a *Agent) []plan.PendingAction {
	t.Helper()
	s, err := a.Host.LoadState()
	must(t, err)
	return s.Pending
}

func TestARuntimeThatMustBeToldIsToldOnceForEachChange(t *testing.T) {
	a, file, now := pretending(t, quay+ghcr)
	said, _ := started(t, a)
	pass(t, a)
	if n := reloaded(said); n != 1 || len(pending(t, a)) > 0 {
		t.Errorf("two files: told %d times, pending %v", n, pending(t, a))
	}
	pass(t, a)
	if n := reloaded(said); n != 0 {
		t.Errorf("no change: told %d times", n)
	}
	*now += time.Minute
	write(t, file, document(quay))
	pass(t, a)
	if n := reloaded(said); n != 1 {
		t.Errorf("a file that goes: told %d times", n)
	}
	if _, err := a.Leave(context.Background()); err != nil || reloaded(said) != 1 {
		t.Errorf("leaving: %v, or not told once", err)
	}
}

func TestABurstOfEditsIsOneReloadMore(t *testing.T) {
	a, file, now := pretending(t, quay)
	said, _ := started(t, a)
	pass(t, a)
	for i := range 20 {
		write(t, file, document(strings.Replace(quay, "m.example", "m"+strings.Repeat("x", i+1)+".example", 1)))
		*now += 100 * time.Millisecond
		if r := pass(t, a); problemOf(r, runtimes.ReloadPending) != "" {
			t.Fatalf("problems %v", r.Problems)
		}
	}
	if n := reloaded(said); n != 1 || len(pending(t, a)) != 1 {
		t.Errorf("told %d times, pending %v", n, pending(t, a))
	}
	if a.wake == 0 || a.wake > 5*time.Second {
		t.Errorf("it wakes at %v", a.wake)
	}
	*now = a.wake
	pass(t, a)
	if n := reloaded(said); n != 1 || len(pending(t, a)) > 0 {
		t.Errorf("after a while: told %d times, pending %v", n, pending(t, a))
	}
}

func TestACrashBetweenCommitAndReloadForgetsNothing(t *testing.T) {
	a, file, _ := pretending(t, quay)
	said, _ := started(t, a)
	report, err := a.Plan(context.Background())
	must(t, err)
	must(t, a.Host.Commit(context.Background(), report.Changes, nil, plan.Pend(nil, report.Changes))) // and here it is killed
	next := *a
	next.actions, next.look = actions{}, nil
	_ = file
	pass(t, &next)
	if n := reloaded(said); n != 1 || len(pending(t, &next)) > 0 {
		t.Errorf("told %d times, pending %v", n, pending(t, &next))
	}
}

func TestADaemonThatCannotBeToldIsAProblemUntilItStartsAgain(t *testing.T) {
	a, _, now := pretending(t, quay)
	said, end := started(t, a)
	must(t, os.RemoveAll(at(a, "/proc"))) // a /proc in which its number cannot be found: that of another PID namespace
	elsewhere(t, a)
	for range 3 {
		r := pass(t, a)
		if !strings.Contains(problemOf(r, runtimes.ReloadPending), "another PID namespace") || len(pending(t, a)) != 1 || pending(t, a)[0].Boot != "this" {
			t.Errorf("problems %v, pending %v", r.Problems, pending(t, a))
		}
		if get(a, pretenderDir+"quay.io.conf") == "" {
			t.Error("what is written was taken back")
		}
		*now += time.Second
	}
	if n := reloaded(said); n > 0 {
		t.Errorf("told %d times", n)
	}
	end()
	put(t, a, "/proc/7/stat", "7 (p) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 99999999999 0 0")
	if r := pass(t, a); len(pending(t, a)) > 0 || slices.Contains(reasons(r), runtimes.ReloadPending) {
		t.Errorf("after a start: problems %v, pending %v", r.Problems, pending(t, a))
	}
}

// elsewhere gives the host a /proc of its own, with the pretender in another PID namespace.
func elsewhere(t *testing.T, a *Agent) {
	t.Helper()
	for name, content := range map[string]string{
		"cmdline": "pretenderd\x00", "status": "Uid:\t0\t0\t0\t0\nNSpid:\t7\n", "cgroup": "0::/\n",
		"stat": "7 (p) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0",
	} {
		put(t, a, "/proc/7/"+name, content)
	}
	put(t, a, "/proc/sys/kernel/random/boot_id", "this\n")
	must(t, os.MkdirAll(at(a, "/proc/7/ns"), 0o755))
	must(t, os.Symlink("/usr/bin/pretenderd", at(a, "/proc/7/exe")))
	must(t, os.Symlink("pid:[1]", at(a, "/proc/7/ns/pid")))
}

func TestADaemonThatDoesNotRunNeedsNothing(t *testing.T) {
	a, _, _ := pretending(t, quay)
	if r := pass(t, a); len(r.Problems) > 0 || len(pending(t, a)) > 0 || get(a, pretenderDir+"quay.io.conf") == "" {
		t.Errorf("problems %v, pending %v", r.Problems, pending(t, a))
	}
}

func TestAMachineThatIsNoLongerEnrolledTellsItsDaemonBeforeItForgets(t *testing.T) {
	a, _, now := pretending(t, quay)
	said, _ := started(t, a)
	pass(t, a)
	reloaded(said)
	a.Node = func() (Node, error) { return Node{}, nil }
	*now += time.Second // sooner than another reload may be
	if r := pass(t, a); r.State != NotEnrolled || reloaded(said) != 0 || len(pending(t, a)) != 1 {
		t.Errorf("state %s, pending %v", r.State, pending(t, a))
	}
	*now += 5 * time.Second
	pass(t, a)
	if n := reloaded(said); n != 1 {
		t.Errorf("told %d times", n)
	}
	if _, err := os.Stat(at(a, "/var/lib/mirrorlet")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is not forgotten: %v", err)
	}
}

package host

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// daemon starts a program as one of a pretended host, and returns how it is found there, and what yields once for each SIGHUP that it got.
func daemon(t *testing.T, h *Host) (runtimes.Process, <-chan string) {
	t.Helper()
	shell, err := exec.LookPath("sh")
	check(t, err)
	content, err := os.ReadFile(shell)
	check(t, err)
	program := filepath.Join(h.full("/etc"), "pretendd")
	check(t, os.WriteFile(program, content, 0o755))
	cmd := exec.Command(program, "-c", "trap 'echo hup' HUP; echo ready; while :; do read line; done")
	out, err := cmd.StdoutPipe()
	check(t, err)
	in, err := cmd.StdinPipe()
	check(t, err)
	heard := make(chan os.Signal, 1) // where this process was started to ignore SIGHUP, as by nohup, its children would ignore it as well
	signal.Notify(heard, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(heard) })
	check(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait(); _ = in.Close() })
	said := make(chan string)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said <- lines.Text()
		}
	}()
	<-said
	shown(t, h, cmd.Process.Pid, program)
	found, err := h.Processes("pretendd")
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	return found[0], said
}

// shown gives the host a /proc with a process of this machine in it, but for its root.
func shown(t *testing.T, h *Host, pid int, program string) {
	t.Helper()
	real := filepath.Join("/proc", strconv.Itoa(pid))
	check(t, os.MkdirAll(h.full(real), 0o755))
	check(t, os.Symlink(program, h.full(real+"/exe")))
	check(t, os.Symlink("/proc/sys", h.full("/proc/sys")))
	for _, name := range []string{"cmdline", "stat", "status", "ns", "cgroup"} {
		check(t, os.Symlink(filepath.Join(real, name), h.full(filepath.Join(real, name))))
	}
}

func TestADaemonWithoutSystemdGetsOneSignal(t *testing.T) {
	h := open(t)
	process, said := daemon(t, h)
	for range 3 {
		check(t, h.Reload(context.Background(), process))
		if got := <-said; got != "hup" {
			t.Errorf("it says %q", got)
		}
	}
	select {
	case more := <-said:
		t.Errorf("it says %q once too often", more)
	default:
	}
}

func TestAProcessThatHasGotTheNumberOfADaemonIsNotSignalled(t *testing.T) {
	h := open(t)
	process, said := daemon(t, h)
	h.began[process.PID]-- // another one had the number before
	if err := h.Reload(context.Background(), process); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("got %v", err)
	}
	if err := h.hangUp(process); err == nil {
		t.Error("it is signalled")
	}
	select {
	case got := <-said:
		t.Errorf("it says %q", got)
	default:
	}
}

func TestADaemonOfAnotherPIDNamespaceIsNotSignalled(t *testing.T) {
	h := open(t)
	fake{1, "/sbin/init", "", "mnt:[1]", "0"}.put(t, h)
	fake{7, "/usr/bin/crio", "crio\x00", "mnt:[1]", "0"}.put(t, h)
	check(t, os.Symlink("pid:[1]", h.full("/proc/7/ns/pid")))
	found, err := h.Processes("crio")
	check(t, err)
	if err := h.Reload(context.Background(), found[0]); err == nil || !strings.Contains(err.Error(), "another PID namespace") || !errors.Is(err, errNoJob) {
		t.Errorf("got %v", err)
	}
}

func TestTheUnitOfAProcessIsThatOfTheSystem(t *testing.T) {
	for cgroups, want := range map[string]string{
		"0::/system.slice/crio.service\n":                                              "crio.service",
		"12:cpu:/system.slice\n1:name=systemd:/system.slice/crio.service\n0::/\n":      "crio.service",
		"0::/other.service\n1:name=systemd:/system.slice/crio.service\n":               "crio.service",
		"0::/../../system.slice/crio.service\n":                                        "crio.service",
		"0::/system.slice/docker.service/supervised\n":                                 "docker.service",
		"0::/machine.slice/systemd-nspawn@a.service/payload/system.slice/crio.service": "crio.service",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/crio.service\n":    "",
		"0::/user.slice/user-0.slice/session-1.scope\n":                                "",
		"5:memory:/system.slice/crio.service\n":                                        "",
		"0::/\n":                                                                       "", "": "",
	} {
		if got := unitOf(cgroups); got != want {
			t.Errorf("%q: %q, want %q", cgroups, got, want)
		}
	}
}

func TestAStartThatIsNewerThanAMomentIsTold(t *testing.T) {
	h := open(t)
	before := (&Host{root: "/"}).Moment()
	process, _ := daemon(t, h)
	after := h.Moment()
	if before.Boot == "" {
		need(t, false, "/proc/sys/kernel/random/boot_id")
	}
	before.Since -= 2 // the moment, and the start, are of some tick each
	for name, c := range map[string]struct {
		moment plan.Moment
		newer  bool
	}{
		"before it":          {before, true},
		"after it":           {after, false},
		"in another boot":    {plan.Moment{Boot: "another", Since: after.Since + 1000}, true},
		"that nobody noted":  {plan.Moment{}, false},
		"without its boot":   {plan.Moment{Since: 1}, false},
		"right at its start": {plan.Moment{Boot: before.Boot, Since: h.began[process.PID]}, false},
	} {
		if got := h.StartedSince(process, c.moment); got != c.newer {
			t.Errorf("a start after a moment %s: %v", name, got)
		}
	}
}

// manager is a stand-in for systemd on a real bus, as far as a reload goes.
type manager struct {
	conn   *dbus.Conn
	refuse string // the name of the error that it answers with; or ""
	result string // of the job; "" for none that ever comes
	jobs   atomic.Int32
}

// ReloadUnit is org.freedesktop.systemd1.Manager.ReloadUnit.
func (m *manager) ReloadUnit(unit, mode string) (dbus.ObjectPath, *dbus.Error) {
	if m.refuse != "" {
		return "", dbus.NewError(m.refuse, []any{"refused"})
	}
	if unit != "pretend.service" || mode != "fail" {
		return "", dbus.NewError("org.freedesktop.systemd1.NoSuchUnit", []any{unit + " " + mode})
	}
	id := uint32(m.jobs.Add(1))
	job := dbus.ObjectPath("/org/freedesktop/systemd1/job/1")
	if m.result != "" {
		defer func() {
			go func() {
				_ = m.conn.Emit("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager.JobRemoved", id, job, unit, m.result)
			}()
		}()
	}
	return job, nil
}

// started starts a bus on the host, with the manager on it.
func (m *manager) started(t *testing.T, h *Host) {
	t.Helper()
	program, err := exec.LookPath("dbus-daemon")
	need(t, err == nil, "dbus-daemon")
	check(t, os.MkdirAll(filepath.Dir(h.full(bus)), 0o755))
	cmd := exec.Command(program, "--session", "--nofork", "--print-address", "--address=unix:path="+h.full(bus))
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	_, err = bufio.NewReader(out).ReadString('\n') // it listens now
	check(t, err)
	m.conn, err = connect(t.Context(), h.full(bus))
	check(t, err)
	check(t, m.conn.Export(m, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"))
	_, err = m.conn.RequestName("org.freedesktop.systemd1", dbus.NameFlagDoNotQueue)
	check(t, err)
}

func TestAReloadIsDoneWhenItsJobIs(t *testing.T) {
	for name, c := range map[string]struct {
		manager *manager
		unit    string
		jobless bool
		say     string // "" for no error
	}{
		"done":                         {&manager{result: "done"}, "pretend.service", false, ""},
		"failed":                       {&manager{result: "failed"}, "pretend.service", false, `result is "failed"; see journalctl -u pretend.service`},
		"canceled":                     {&manager{result: "canceled"}, "pretend.service", false, `"canceled"`},
		"without a result":             {&manager{}, "pretend.service", false, "no result"},
		"of a unit that is not there":  {&manager{}, "other.service", true, "other.service"},
		"of a unit that cannot reload": {&manager{refuse: "org.freedesktop.systemd1.JobTypeNotApplicable"}, "pretend.service", true, "refused"},
		"while a restart is queued":    {&manager{refuse: "org.freedesktop.systemd1.TransactionIsDestructive"}, "pretend.service", false, "refused"},
		"of no unit":                   {&manager{}, "", true, "no unit"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			c.manager.started(t, h)
			bound := reloadTime
			if name == "without a result" {
				bound = 200 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), bound)
			defer cancel()
			err := h.reloadUnit(ctx, c.unit)
			if (err == nil) != (c.say == "") || err != nil && !strings.Contains(err.Error(), c.say) || errors.Is(err, errNoJob) != c.jobless {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAHostWithoutABusOrWithoutSystemdOnItMakesNoJob(t *testing.T) {
	h := open(t)
	if err := h.reloadUnit(t.Context(), "pretend.service"); !errors.Is(err, errNoJob) || !strings.Contains(err.Error(), bus) {
		t.Errorf("without a bus: %v", err)
	}
	m := &manager{}
	m.started(t, h)
	_, err := m.conn.ReleaseName("org.freedesktop.systemd1")
	check(t, err)
	if err := h.reloadUnit(t.Context(), "pretend.service"); !errors.Is(err, errNoJob) {
		t.Errorf("without systemd: %v", err)
	}
}

package lab

import (
	"os"
	"strings"
	"testing"
)

func machine(t *testing.T, l *Lab, name string) *Machine {
	t.Helper()
	_, err := newCgroup("x")
	Need(t, err)
	m, err := l.Machine(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAMachineHasARootProcessesANameAndANetworkOfItsOwn(t *testing.T) {
	l := Start(t)
	a, b := machine(t, l, "a"), machine(t, l, "b")
	if err := a.WriteFile("/etc/motd", "this is a\n"); err != nil {
		t.Fatal(err)
	}
	for script, want := range map[string]string{
		"cat /etc/motd":                  "this is a\n",
		"hostname":                       "a\n",
		"readlink /proc/1/exe":           "/usr/sbin/init\n",
		"grep pids /proc/self/cgroup":    ":pids:/\n",
		"cat /proc/sys/kernel/panic":     "10\n",
		"ls -m /sys/class/net":           "eth0, lo\n",
		"ls -m /sys/fs/cgroup/pids":      "cgroup.procs",
		"findmnt -no PROPAGATION /":      "shared\n",
		"echo x >/usr/y && cat /usr/y":   "x\n",
		"ls /etc/apt /work 2>&1 | wc -l": "2\n", // none of the outer machine's
	} {
		got, err := a.Run("/bin/sh", "-c", script)
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, %v; want %q", script, got, err, want)
		}
	}
	if out, err := b.Run("cat", "/etc/motd"); err == nil {
		t.Errorf("b has a's file: %s", out)
	}
	if outside, err := os.ReadFile("/proc/sys/kernel/panic"); err != nil || string(outside) == "10\n" {
		t.Errorf("the kernel's own setting is %q, %v", outside, err)
	}
}

func TestAProcessOfAMachineIsSeenThereAndEndsWithIt(t *testing.T) {
	l := Start(t)
	m := machine(t, l, "a")
	d := l.daemon(l.Root+"/log", "", "sleep", "1000")
	d.at = m
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	if out, err := m.Run("/bin/sh", "-c", "cat /proc/[0-9]*/cmdline"); err != nil || !strings.Contains(out, "sleep\x001000") {
		t.Errorf("got %q, %v", out, err)
	}
	if err := m.Off(); err != nil {
		t.Fatal(err)
	}
	<-d.Exited()
	if _, err := m.Run("true"); err == nil {
		t.Error("a machine that is off runs a program")
	}
}

func TestAMachineReachesEveryAddressOfTheLab(t *testing.T) {
	l := Start(t)
	m := machine(t, l, "a")
	for _, address := range []string{"", "172.18.0.20:5000"} { // the second is in no subnet of the machine's
		r, err := l.Registry(RegistryConfig{Address: address, Plain: true})
		if err != nil {
			t.Fatal(err)
		}
		out, err := m.Run("/bin/bash", "-c", "exec 3<>/dev/tcp/"+strings.Replace(r.Host(), ":", "/", 1))
		if err != nil {
			t.Errorf("%s: %v: %s", r.Host(), err, out)
		}
	}
}

func TestAMachineThatIsUnpluggedReachesNobodyUntilItIsPluggedAgain(t *testing.T) {
	l := Start(t)
	m := machine(t, l, "a")
	r, err := l.Registry(RegistryConfig{Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	try := []string{"0.5", "/bin/bash", "-c", "exec 3<>/dev/tcp/" + strings.Replace(r.Host(), ":", "/", 1)}
	if err := m.Unplug(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Run("timeout", try...); err == nil || !strings.Contains(err.Error(), "status 124") { // timeout(1): it did not end
		t.Errorf("got %v", err)
	}
	if err := m.Plug(); err != nil {
		t.Fatal(err)
	}
	try[0] = "10"
	if out, err := m.Run("timeout", try...); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAMachineThatWasOffHasItsFiles(t *testing.T) {
	l := Start(t)
	m := machine(t, l, "a")
	if out, err := m.Run("/bin/sh", "-c", "echo x >/etc/kept && echo x >/usr/kept && echo x >/run/gone"); err != nil {
		t.Fatal(err, out)
	}
	if err := m.Off(); err != nil {
		t.Fatal(err)
	}
	if err := m.On(); err != nil {
		t.Fatal(err)
	}
	if out, err := m.Run("/bin/sh", "-c", "cat /etc/kept /usr/kept; test -e /run/gone || hostname"); err != nil || out != "x\nx\na\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

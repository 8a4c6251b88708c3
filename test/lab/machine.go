package lab

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Machine is a computer for a test: with a network interface, processes, mounts, cgroups and a name of its own. Its file system is a
// folder, in which /usr has the programs of the machine that the test runs on; /etc, /var and /run are its own. It has no systemd.
type Machine struct {
	// Name is its host name.
	Name string
	// Root is its "/" as a folder. What is mounted inside, such as /usr and /proc, is not seen there, but below HostRoot.
	Root string
	// Address is its own in the lab's network, of which it reaches every address.
	Address string

	init    *exec.Cmd // nil: it is off
	log     string
	cgroup  *cgroup
	network *Network
}

//go:embed machine.sh
var machineScript string // what //go:embed fills cannot be a constant

// sysctls are those of the kernel that a kubelet wants so, by the path below /proc/sys with dots for slashes.
func sysctls() map[string]string {
	return map[string]string{
		"vm.overcommit_memory": "1", "vm.panic_on_oom": "0", "kernel.panic": "10", "kernel.panic_on_oops": "1",
		"kernel.keys.root_maxkeys": "1000000", "kernel.keys.root_maxbytes": "25000000",
	}
}

// Machine makes a machine and turns it on. Programs are put into its /usr: from the place there, such as bin/kubelet, to the file.
func (l *Lab) Machine(name string, programs map[string]string) (*Machine, error) {
	root, err := l.Folder(name)
	if err != nil {
		return nil, err
	}
	m := &Machine{Name: name, Root: root, log: root + ".log", network: l.Network}
	if m.cgroup, err = newCgroup(filepath.Join(filepath.Base(Scratch()), filepath.Base(l.Root)+"."+filepath.Base(root))); err != nil {
		return nil, err
	}
	init, err := pause()
	if err != nil {
		return nil, err
	}
	all := map[string]string{"sbin/init": init}
	maps.Copy(all, programs)
	if err := errors.Join(m.furnish(), m.provide(all)); err != nil {
		return nil, err
	}
	l.atEnd(m.off)
	if err := m.on(); err != nil {
		return nil, err
	}
	if m.Address, err = l.Network.next(); err != nil {
		return nil, err
	}
	return m, m.connect()
}

// furnish makes the folders and files that any Linux system has.
func (m *Machine) furnish() error {
	for _, dir := range []string{"dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var/lib", "var/log", "var/tmp"} {
		if err := os.MkdirAll(m.Path(dir), 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{
		"/etc/hosts": "127.0.0.1 localhost\n", "/etc/hostname": m.Name + "\n", "/etc/resolv.conf": "",
		"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n", "/etc/group": "root:x:0:\n",
		"/etc/os-release": "ID=lab\nPRETTY_NAME=\"A machine of the lab\"\n",
	}
	errs := []error{os.Symlink("/run", m.Path("/var/run"))}
	for name, content := range files {
		errs = append(errs, m.WriteFile(name, content))
	}
	return errors.Join(errs...)
}

// provide makes what machine.sh finds in the folder of its files.
func (m *Machine) provide(programs map[string]string) error {
	errs := []error{os.MkdirAll(m.file("usr.work"), 0o755), os.MkdirAll(m.file("sysctl"), 0o755)}
	var list strings.Builder
	for _, place := range slices.Sorted(maps.Keys(programs)) {
		fmt.Fprintf(&list, "%s %s\n", programs[place], place)
		file := m.file("usr/" + place)
		errs = append(errs, os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o755))
	}
	for name, value := range sysctls() {
		errs = append(errs, os.WriteFile(m.file("sysctl/"+name), []byte(value+"\n"), 0o644))
	}
	return errors.Join(append(errs, os.WriteFile(m.file("programs"), []byte(list.String()), 0o644),
		os.WriteFile(m.file("machine.sh"), []byte(machineScript), 0o644))...)
}

func (m *Machine) file(name string) string { return filepath.Join(m.Root+".files", name) }

// Path is a path of the machine as it is from outside.
func (m *Machine) Path(p string) string { return filepath.Join(m.Root, p) }

// WriteFile writes a file of the machine, and the folders above it.
func (m *Machine) WriteFile(name, content string) error {
	return errors.Join(os.MkdirAll(filepath.Dir(m.Path(name)), 0o755), os.WriteFile(m.Path(name), []byte(content), 0o644))
}

// HostRoot is the machine's "/", with all that is mounted there, as other processes can reach it.
func (m *Machine) HostRoot() string { return fmt.Sprintf("/proc/%d/root", m.init.Process.Pid) }

// on starts the first process and returns when the root is in its place.
func (m *Machine) on() error {
	if err := m.cgroup.make(); err != nil {
		return err
	}
	argv := []string{"-e", m.file("machine.sh"), m.Root, m.Name, m.file("")}
	for i, controllers := range m.cgroup.controllers {
		argv = append(argv, controllers, m.cgroup.folders[i])
	}
	log, err := os.Create(m.log)
	if err != nil {
		return err
	}
	defer log.Close()
	init := exec.Command("/bin/sh", argv...)
	init.Stderr = log
	init.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET |
		syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC}
	said, err := init.StdoutPipe()
	if err != nil {
		return err
	}
	if err := init.Start(); err != nil {
		return err
	}
	m.init = init
	if line, err := bufio.NewReader(said).ReadString('\n'); line != "ready\n" {
		why, _ := os.ReadFile(m.log) // the error of the pipe remains, if that cannot be read
		return fmt.Errorf("machine %s does not come up: %w: %s", m.Name, err, why)
	}
	return nil
}

// off kills the first process, and the kernel all others with it; then nothing of the machine is left but its folder.
func (m *Machine) off() error {
	if m.init == nil {
		return nil
	}
	err := m.init.Process.Kill()
	_ = m.init.Wait() // it was killed
	m.init = nil
	return errors.Join(err, m.cgroup.remove())
}

// connect plugs it into the lab's network.
func (m *Machine) connect() error {
	gateway, err := m.network.router()
	if err != nil {
		return err
	}
	port := "m" + strings.TrimPrefix(m.Address, "10") // such as m.1.2.3: the kernel allows 15 bytes
	err = ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(m.init.Process.Pid))
	if err != nil {
		return err
	}
	if err := ip("link", "set", port, "master", m.network.bridge, "up"); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"addr", "add", m.Address + "/24", "dev", "eth0"}, {"link", "set", "eth0", "up"}, {"route", "add", "default", "via", gateway},
	} {
		if out, err := m.Run("ip", args...); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return nil
}

// Run runs a program of the machine there and returns all that it printed.
func (m *Machine) Run(program string, args ...string) (string, error) {
	argv := m.joining(append([]string{program}, args...))
	cmd := exec.Command(argv[0], argv[1:]...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := m.within(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return out.String(), fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
	}
	return out.String(), nil
}

// joinScript puts a process into the machine's cgroups and then becomes the program.
const joinScript = `for procs in /sys/fs/cgroup/*/cgroup.procs; do echo 0 >"$procs"; done; exec "$@"`

func (m *Machine) joining(argv []string) []string {
	return append([]string{"/bin/sh", "-ec", joinScript, "sh"}, argv...)
}

// within calls a function that starts a process, which will be one of the machine.
func (m *Machine) within(start func() error) error {
	if m.init == nil {
		return fmt.Errorf("machine %s is off", m.Name)
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // /proc/self is this thread's; while it is held here, the next goroutine has another
			defer runtime.UnlockOSThread()
			started <- m.within(start)
			return
		}
		err := m.enter() // the thread stays locked and so ends with the goroutine: nothing else of this program runs in there
		if err == nil {
			err = start()
		}
		started <- err
	}()
	return <-started
}

// enter moves this thread into the machine, but for processes: only those that it starts will be there (setns(2)).
func (m *Machine) enter() error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // a thread that shares its root cannot change its mounts
		return err
	}
	init, err := unix.PidfdOpen(m.init.Process.Pid, 0)
	if err != nil {
		return err
	}
	err = unix.Setns(init, unix.CLONE_NEWNS|unix.CLONE_NEWPID|unix.CLONE_NEWNET|unix.CLONE_NEWUTS|unix.CLONE_NEWIPC|unix.CLONE_NEWCGROUP)
	return errors.Join(err, unix.Close(init))
}

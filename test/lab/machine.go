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
	"slices"
	"strings"
	"syscall"
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
	l.atEnd(m.Off)
	if m.Address, err = l.Network.next(); err != nil {
		return nil, err
	}
	return m, m.On()
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

// On turns the machine on, with the files that it had when it went off, but for /run. Nothing is started there.
func (m *Machine) On() error {
	if m.init != nil {
		return fmt.Errorf("machine %s is on already", m.Name)
	}
	if err := errors.Join(os.RemoveAll(m.Path("/run")), os.Mkdir(m.Path("/run"), 0o755), m.cgroup.make()); err != nil {
		return err
	}
	if err := m.boot(); err != nil {
		return err
	}
	return m.connect()
}

// Off turns the machine off, as when the power is lost, except that everything written is there afterwards: the first process is killed,
// and the kernel kills all others with it. It may be called twice.
func (m *Machine) Off() error {
	if m.init == nil {
		return nil
	}
	err := m.init.Process.Kill()
	_ = m.init.Wait() // it was killed
	m.init = nil
	return errors.Join(err, m.disconnect(), m.cgroup.remove())
}

// boot starts the first process and returns when the root is in its place.
func (m *Machine) boot() error {
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

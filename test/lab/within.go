package lab

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// joinScript puts a process into the machine's cgroups and then becomes the program.
const joinScript = `for procs in /sys/fs/cgroup/*/cgroup.procs; do echo 0 >"$procs"; done; exec "$@"`

// joining is a command line for a process that is to be in the machine's cgroups.
func (m *Machine) joining(argv []string) []string {
	return append([]string{"/bin/sh", "-ec", joinScript, "sh"}, argv...)
}

// Command is a program of the machine with its arguments, for Start. What is to be done with its input and output is the caller's.
func (m *Machine) Command(program string, args ...string) *exec.Cmd {
	argv := m.joining(append([]string{program}, args...))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	return cmd
}

// Start starts a command there. It has a process ID of this program's, which waits for it as for any other.
func (m *Machine) Start(command *exec.Cmd) error { return m.within(command.Start) }

// Run runs a program there and returns all that it printed.
func (m *Machine) Run(program string, args ...string) (string, error) {
	command := m.Command(program, args...)
	var out strings.Builder
	command.Stdout, command.Stderr = &out, &out
	err := m.Start(command)
	if err == nil {
		err = command.Wait()
	}
	if err != nil {
		return out.String(), fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
	}
	return out.String(), nil
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

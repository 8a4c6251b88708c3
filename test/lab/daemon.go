package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// stopTimeout is how long a daemon may take to end on its own.
const stopTimeout = 10 * time.Second

// Daemon is a program that runs in the lab, in a mount namespace of its own.
type Daemon struct {
	// Log is the file of what it printed, over all its starts.
	Log    string
	argv   []string
	etc    string
	root   string    // its "/", where that is another one; it then shares the mounts of the lab
	at     *Machine  // where it runs; nil: in the lab
	cmd    *exec.Cmd // nil: stopped
	exited chan struct{}
}

// etcScript lays a folder over /etc and then becomes the daemon. The folder beside it that overlayfs needs has the same name, with .work.
const etcScript = `mount -n -t overlay overlay -o "lowerdir=/etc,upperdir=$1,workdir=$1.work" /etc && shift && exec "$@"`

// daemon describes a program; etc may be empty, or a folder whose content lies over the daemon's /etc.
func (l *Lab) daemon(log, etc string, argv ...string) *Daemon {
	d := &Daemon{Log: log, argv: argv, etc: etc}
	l.atEnd(d.Stop)
	return d
}

// PID is its process; 0 while it is stopped.
func (d *Daemon) PID() int {
	if d.cmd == nil {
		return 0
	}
	return d.cmd.Process.Pid
}

// HostRoot is the daemon's own "/", with its /etc, as other processes can reach it while it runs.
func (d *Daemon) HostRoot() string { return fmt.Sprintf("/proc/%d/root", d.PID()) }

// Exited is closed when the program that was started last has ended, for whatever reason.
func (d *Daemon) Exited() <-chan struct{} { return d.exited }

// start runs the program. That it runs does not mean that it is ready.
func (d *Daemon) start() error {
	if d.cmd != nil {
		return fmt.Errorf("%s runs already", d.argv[0])
	}
	log, err := os.OpenFile(d.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd, err := d.command()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	start := cmd.Start
	if d.at != nil {
		start = func() error { return d.at.within(cmd.Start) }
	}
	if err := start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(exited)
	}()
	d.cmd, d.exited = cmd, exited
	return nil
}

// command is the program as it is started: in a mount namespace of its own, with another root, or in a machine.
func (d *Daemon) command() (*exec.Cmd, error) {
	argv, attributes := d.argv, &syscall.SysProcAttr{Setpgid: true}
	switch {
	case d.at != nil:
		argv = d.at.joining(argv)
	case d.root != "":
		attributes.Chroot = d.root
	default:
		attributes.Unshareflags = syscall.CLONE_NEWNS
	}
	if d.etc != "" {
		if err := os.MkdirAll(d.etc+".work", 0o755); err != nil {
			return nil, err
		}
		argv = slices.Concat([]string{"/bin/sh", "-ec", etcScript, "sh", d.etc}, argv)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = attributes
	if d.root != "" || d.at != nil {
		cmd.Dir = "/"
	}
	return cmd, nil
}

// Stop ends the program: by SIGTERM, and if that is not enough by SIGKILL. It may be called twice.
func (d *Daemon) Stop() error {
	if d.cmd == nil {
		return nil
	}
	cmd := d.cmd
	d.cmd = nil
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-d.exited:
		return nil
	case <-time.After(stopTimeout):
	}
	err := cmd.Process.Kill()
	<-d.exited
	return errors.Join(fmt.Errorf("%s did not end within %s of SIGTERM and was killed", d.argv[0], stopTimeout), err)
}

// Kill ends the program at once, as a crash would.
func (d *Daemon) Kill() error {
	if d.cmd == nil {
		return nil
	}
	err := d.cmd.Process.Kill()
	<-d.exited
	d.cmd = nil
	return err
}

// tail is the end of the log, for an error that says why a daemon did not come up.
func (d *Daemon) tail() string {
	data, err := os.ReadFile(d.Log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

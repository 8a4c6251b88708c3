package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/sirupsen/logrus"
)

// insideEnv holds the folder of everything that the labs of this process make. It is set by the outer process for the inner one.
const insideEnv = "MIRRORLET_LAB"

// ErrOutside says that the process has no network of its own.
var ErrOutside = errors.New("a lab needs root and Linux, and the program or its TestMain must begin with lab.Enter: run as root")

// Enter moves the program into a machine of its own: its network, mounts and processes are private, and all of them are gone when it
// ends, however it ends. The program is started again, inside, and Enter returns there only; the process outside waits, cleans up and
// exits with the same status. So what stands before Enter runs twice. Without root Enter returns ErrOutside and nothing has happened.
//
// Inside, everything simply dials and listens: the whole program, its daemons and the registries that it links are in the same network,
// which reaches nothing outside.
func Enter() error {
	switch {
	case inside():
		return furnish()
	case os.Geteuid() != 0:
		return ErrOutside
	}
	code, err := runInside()
	if err != nil {
		return fmt.Errorf("start the lab: %w", err)
	}
	os.Exit(code)
	return nil
}

func inside() bool { return os.Getenv(insideEnv) != "" && os.Getpid() == 1 }

// runInside runs this program again in new namespaces and returns its exit status.
func runInside() (int, error) {
	root, err := os.MkdirTemp("", "lab-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(root)
	defer removeCgroups(filepath.Base(root))
	// The death signal is sent when the thread ends that has started the child: it must not end before the process does.
	runtime.LockOSThread()
	self := exec.Command("/proc/self/exe", os.Args[1:]...)
	self.Args[0] = os.Args[0]
	self.Stdin, self.Stdout, self.Stderr = os.Stdin, os.Stdout, os.Stderr
	self.Env = append(os.Environ(), insideEnv+"="+root)
	self.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := self.Start(); err != nil {
		return 0, err
	}
	done := make(chan struct{})
	go forward(signals, self.Process, done)
	err = self.Wait()
	close(done)
	return status(self.ProcessState, err)
}

func forward(signals <-chan os.Signal, to *os.Process, done <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			_ = to.Signal(s) // it may have ended just now
		case <-done:
			return
		}
	}
}

func status(state *os.ProcessState, err error) (int, error) {
	if state == nil {
		return 0, err
	}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return state.ExitCode(), nil
}

// furnish makes the new namespaces usable: mounts do not spread, /proc shows the processes inside, the loopback is up.
func furnish() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// The registries are linked, and the library that they are logs through logrus's one standard logger.
	log, err := os.Create(os.Getenv(insideEnv) + "/registries.log")
	if err != nil {
		return err
	}
	logrus.SetOutput(log)
	return ip("link", "set", "lo", "up")
}

// ip runs iproute2's program.
func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %v: %w: %s", args, err, out)
	}
	return nil
}

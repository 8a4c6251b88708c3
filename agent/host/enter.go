package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Enter makes the process see the folder as "/", for good; files that are open stay so (OpenConfig). For "/" it does nothing.
//
// Without the right to do so, and not as root, it starts the program once more in a user namespace where it has the right, passes
// signals on to it, and ends as it ends: then Enter does not return, and what the process has opened is of no use. So it belongs at
// the beginning of main, and all that goes before must be fit to be done twice. In that namespace all files of the user look like
// root's.
func Enter(root string) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("enter: %w", err)
	}
	if root == "/" {
		return nil
	}
	info, err := os.Stat(root)
	if err != nil {
		return fmt.Errorf("enter %s: %w", root, reason(err))
	}
	if !info.IsDir() {
		return fmt.Errorf("enter %s: it is not a folder", root)
	}
	err = unix.Chroot(root)
	switch {
	case err == nil:
		return wrap("enter "+root, os.Chdir("/"))
	case !errors.Is(err, unix.EPERM):
		return fmt.Errorf("enter %s: %w", root, err)
	case os.Geteuid() == 0:
		return fmt.Errorf("enter %s: %w; give the process the capability CAP_SYS_CHROOT, or allow user namespaces to have it "+
			"(kernel.apparmor_restrict_unprivileged_userns=0)", root, err)
	}
	code, err := reexec(root)
	if err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

// reexec runs this program in a user namespace of its own and returns its exit code. A signal that ends it ends this process too.
func reexec(root string) (int, error) {
	runtime.LockOSThread() // the child is killed when the thread that started it ends
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = os.Args
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("enter %s: start in a user namespace: %w; run as root, or allow user namespaces "+
			"(user.max_user_namespaces above 0)", root, reason(err))
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its state
		close(ended)
	}()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s)
		case <-ended:
			return exitCode(cmd.ProcessState.Sys().(syscall.WaitStatus)), nil
		}
	}
}

func exitCode(status syscall.WaitStatus) int {
	if !status.Signaled() {
		return status.ExitStatus()
	}
	signal.Reset(status.Signal())
	runtime.LockOSThread() // a signal to the own thread, unlike one to the process, is there before the call returns
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), status.Signal())
	return 128 + int(status.Signal()) // as a shell says it, should the signal not have ended us
}

package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Run runs a program and asks decide about every call of it that touches the tree, in the order in which they happen, whichever
// thread makes them. While decide is asked, the program stands still. It needs root.
func Run(c Command, decide func(Call) Action) (Outcome, error) {
	out, err := newOutput()
	if err != nil {
		return Outcome{}, err
	}
	defer out.close()
	t := &tracer{Command: c, decide: decide}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // only the thread that has started it may trace it; the thread ends with this function
		done <- t.trace(out)
	}()
	if err := <-done; err != nil {
		return Outcome{}, fmt.Errorf("trace %s: %w", c.Path, err)
	}
	var e1, e2 error
	t.outcome.Stdout, e1 = text(out.stdout)
	t.outcome.Stderr, e2 = text(out.stderr)
	return t.outcome, errors.Join(e1, e2)
}

type tracer struct {
	Command
	decide  func(Call) Action
	pid     int
	known   map[int]bool // the threads that have been seen
	outcome Outcome
}

const traceOptions = unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_EXITKILL

func (t *tracer) trace(out output) (err error) {
	t.pid, err = syscall.ForkExec(t.Path, append([]string{t.Path}, t.Args...), &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{0, out.stdout.Fd(), out.stderr.Fd()},
		Sys:   &syscall.SysProcAttr{Ptrace: true, Setpgid: true}, // a group of its own, to wait for
	})
	if err != nil {
		return err
	}
	var status unix.WaitStatus
	if _, err = unix.Wait4(t.pid, &status, unix.WALL, nil); err == nil {
		err = unix.PtraceSetOptions(t.pid, traceOptions)
	}
	if err == nil {
		err = install(t.pid, numbers(t.Reads))
	}
	if err == nil {
		err = unix.PtraceCont(t.pid, 0)
	}
	t.known = map[int]bool{t.pid: true}
	for ended := false; err == nil && !ended; {
		ended, err = t.next()
	}
	if err != nil {
		_ = unix.Kill(t.pid, unix.SIGKILL)
	}
	return err
}

// next waits for one stop or end of one thread and deals with it. It returns true when the whole program has ended: its first
// thread is reported last.
func (t *tracer) next() (bool, error) {
	var status unix.WaitStatus
	tid, err := unix.Wait4(-t.pid, &status, unix.WALL, nil)
	switch {
	case err == unix.EINTR:
		return false, nil
	case err != nil:
		return false, err
	case !status.Stopped():
		if tid != t.pid {
			return false, nil
		}
		t.outcome.Exit = -1
		if status.Exited() {
			t.outcome.Exit = status.ExitStatus()
		}
		return true, nil
	}
	signal, first := status.StopSignal(), !t.known[tid]
	t.known[tid] = true
	switch {
	case status.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
		err, signal = t.stopped(tid), 0
	case signal == unix.SIGTRAP, first && signal == unix.SIGSTOP: // a new thread, told of by its parent and by itself
		signal = 0
	}
	if err == nil {
		err = unix.PtraceCont(tid, int(signal))
	}
	if err == unix.ESRCH { // it was killed meanwhile, and that is reported next
		err = nil
	}
	return false, err
}

// stopped is asked about a thread that is about to make a call.
func (t *tracer) stopped(tid int) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return err
	}
	s, args := specs[regs.Orig_rax], [6]uint64{regs.Rdi, regs.Rsi, regs.Rdx, regs.R10, regs.R8, regs.R9}
	if !t.Reads && !s.changes(args) {
		return nil
	}
	full, err := t.place(tid, s, args)
	below := strings.TrimPrefix(full, t.Tree)
	if err != nil || below == full {
		return err
	}
	t.outcome.Calls++
	switch a := t.decide(Call{Number: t.outcome.Calls, Name: s.name, Path: below}); {
	case a.Kill:
		return unix.Kill(t.pid, unix.SIGKILL)
	case a.Error != 0:
		regs.Orig_rax, regs.Rax = ^uint64(0), uint64(-int64(a.Error))
		return unix.PtraceSetRegs(tid, &regs)
	case a.Short && regs.Rdx > 1:
		regs.Rdx /= 2
		return unix.PtraceSetRegs(tid, &regs)
	default:
		return nil
	}
}

// place is where in this process's view a call is about.
func (t *tracer) place(tid int, s spec, args [6]uint64) (string, error) {
	proc := fmt.Sprintf("/proc/%d/", t.pid)
	if s.file != none {
		return link(proc, fmt.Sprintf("fd/%d", int32(args[s.file])))
	}
	path, err := readString(tid, args[s.path])
	switch {
	case err != nil:
		return "", err
	case filepath.IsAbs(path):
		root, err := link(proc, "root")
		return filepath.Join(root, path), err
	case s.at == none || int32(args[s.at]) == unix.AT_FDCWD:
		cwd, err := link(proc, "cwd")
		return filepath.Join(cwd, path), err
	default:
		dir, err := link(proc, fmt.Sprintf("fd/%d", int32(args[s.at])))
		return filepath.Join(dir, path), err
	}
}

// link is where a link of /proc leads; nowhere if it is not there, as of a file that is not open.
func link(proc, name string) (string, error) {
	to, err := os.Readlink(proc + name)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return to, err
}

// readString reads a string that ends with a NUL, page by page, because the next page may not be there.
func readString(tid int, at uint64) (string, error) {
	var s []byte
	for len(s) < unix.PathMax {
		buf := make([]byte, 4096-at%4096)
		local := []unix.Iovec{{Base: &buf[0], Len: uint64(len(buf))}}
		n, err := unix.ProcessVMReadv(tid, local, []unix.RemoteIovec{{Base: uintptr(at), Len: len(buf)}}, 0)
		if err != nil {
			return "", fmt.Errorf("read a path: %w", err)
		}
		if i := bytes.IndexByte(buf[:n], 0); i >= 0 {
			return string(append(s, buf[:i]...)), nil
		}
		s, at = append(s, buf[:n]...), at+uint64(n)
	}
	return "", errors.New("a path has no end")
}

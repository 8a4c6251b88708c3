package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// userHZ is the unit of the times in /proc/PID/stat, per second: 100 on every architecture that Go runs on (USER_HZ in the kernel's
// include/uapi/asm-generic/param.h).
const userHZ = 100

// proc is a mounted /proc: the processes of a host, and what they have in common with the first of them.
type proc struct {
	root   string // of the host
	dir    string
	mounts string // the mount namespace of process 1; empty: unknown
	owner  string // the users of process 1, as in its status; empty: unknown
	booted int64  // Unix seconds; 0: unknown
}

// Processes returns the processes whose binary has one of the given base names, in the order of their numbers; without names, all
// that have a binary. A process with another mount namespace and another root than process 1 belongs to a container, one that has
// only another root sees other files, and one of another user belongs to that user: none of them is the host's. What cannot be told of process 1 is not asked of others. A host without /proc
// has no processes.
//
// Started comes from the boot time in /proc/stat, whole seconds of the clock as it is now, and the ticks in /proc/PID/stat
// (proc_stat(5), proc_pid_stat(5)): it may be a second early.
func (h *Host) Processes(names ...string) ([]runtimes.Process, error) {
	p := h.proc()
	entries, err := os.ReadDir(p.dir)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", reason(err))
	}
	maps.DeleteFunc(h.began, func(pid int, _ int64) bool {
		return !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == strconv.Itoa(pid) })
	})
	var found []runtimes.Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if process, ticks, ok := p.process(pid, names); ok {
			h.began[pid] = ticks
			key := fmt.Sprintf("process %d since %d", pid, ticks)
			process.Version = h.version(key, p.program(process))
			found = append(found, process)
		}
	}
	slices.SortFunc(found, func(a, b runtimes.Process) int { return a.PID - b.PID })
	return found, nil
}

// Running says that a process which Processes has returned still runs, and is the same one. It costs one read.
func (h *Host) Running(process runtimes.Process) bool {
	began, known := h.began[process.PID]
	ticks, err := proc{dir: h.full("/proc")}.ticks(process.PID)
	return known && err == nil && ticks == began
}

// Installed returns the programs that are there, of the given paths, as processes with PID 0. It does not say that they do not run.
func (h *Host) Installed(paths ...string) []runtimes.Process {
	var found []runtimes.Process
	for _, path := range paths {
		info, err := os.Stat(h.full(path))
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
			continue
		}
		key := fmt.Sprintf("%s %+v", path, sign(h.full(path), true))
		found = append(found, runtimes.Process{Exe: path, Version: h.version(key, h.full(path))})
	}
	return found
}

func (h *Host) proc() proc {
	p := proc{root: h.root, dir: h.full("/proc")}
	p.mounts, _ = os.Readlink(filepath.Join(p.dir, "1/ns/mnt"))
	p.owner = p.users(1)
	stat, _ := os.ReadFile(filepath.Join(p.dir, "stat"))
	for line := range strings.Lines(string(stat)) {
		if seconds, found := strings.CutPrefix(line, "btime "); found {
			p.booted, _ = strconv.ParseInt(strings.TrimSpace(seconds), 10, 64)
		}
	}
	return p
}

// process reads one process; it is not ok if that is none of the host's, has another name, or ends while it is read. Kernel threads
// have no binary.
func (p proc) process(pid int, names []string) (_ runtimes.Process, ticks int64, ok bool) {
	dir := p.of(pid)
	exe, err := os.Readlink(filepath.Join(dir, "exe"))
	exe = strings.TrimSuffix(exe, " (deleted)") // the binary was replaced under the running process
	if err != nil || len(names) > 0 && !slices.Contains(names, filepath.Base(exe)) || !p.ofHost(pid) {
		return runtimes.Process{}, 0, false
	}
	argv, err := p.argv(pid)
	if err != nil {
		return runtimes.Process{}, 0, false
	}
	if ticks, err = p.ticks(pid); err != nil {
		return runtimes.Process{}, 0, false
	}
	return runtimes.Process{PID: pid, Exe: exe, Argv: split(argv), Started: p.started(ticks)}, ticks, true
}

// argv is the command line of a process. Within execve(2) the new binary shows before its arguments do: a daemon that is read in that
// moment would seem to run without its flags. Nothing tells when it is over, so an empty line is read again for a tenth of a second.
func (p proc) argv(pid int) ([]byte, error) {
	file := filepath.Join(p.of(pid), "cmdline")
	argv, err := os.ReadFile(file)
	for try := 0; err == nil && len(argv) == 0 && try < 100; try++ {
		time.Sleep(time.Millisecond)
		argv, err = os.ReadFile(file)
	}
	return argv, err
}

func (p proc) of(pid int) string { return filepath.Join(p.dir, strconv.Itoa(pid)) }

// ofHost says that the process sees the host's own files, as the user of process 1. A service of the host may have a mount namespace
// of its own, with the same root (systemd.exec(5), PrivateTmp and MountFlags), and a process with the host's mounts may have a root of
// its own (chroot(2)), where its files are others. Anybody may name a program containerd: what it says about itself must not lead us.
func (p proc) ofHost(pid int) bool {
	mounts, err := os.Readlink(filepath.Join(p.of(pid), "ns/mnt"))
	foreign := err == nil && p.mounts != "" && mounts != p.mounts
	if foreign && !p.sees(pid, filepath.Join(p.of(1), "root")) || !foreign && p.chrooted(pid) {
		return false
	}
	users := p.users(pid)
	return p.owner == "" || users == "" || users == p.owner
}

// chrooted says that the root of a process is neither that of process 1 nor the host's as we have it.
func (p proc) chrooted(pid int) bool {
	_, err := os.Stat(filepath.Join(p.of(pid), "root")) // not everybody may ask
	return err == nil && !p.sees(pid, filepath.Join(p.of(1), "root")) && !p.sees(pid, p.root)
}

// sees says that a folder is the root of a process.
func (p proc) sees(pid int, folder string) bool {
	its, err := os.Stat(filepath.Join(p.of(pid), "root"))
	if err != nil {
		return false
	}
	other, err := os.Stat(folder)
	return err == nil && os.SameFile(other, its)
}

// users are the real, effective, saved and file system user of a process.
func (p proc) users(pid int) string {
	status, _ := os.ReadFile(filepath.Join(p.of(pid), "status"))
	for line := range strings.Lines(string(status)) {
		if users, found := strings.CutPrefix(line, "Uid:"); found {
			return strings.TrimSpace(users)
		}
	}
	return ""
}

var errStat = errors.New("unknown format")

// ticks is when a process started, since boot: the twenty-second field, of which the second, the name, may hold anything.
func (p proc) ticks(pid int) (int64, error) {
	stat, err := os.ReadFile(filepath.Join(p.of(pid), "stat"))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0, errStat
	}
	return strconv.ParseInt(string(fields[19]), 10, 64)
}

func (p proc) started(ticks int64) time.Time {
	if p.booted == 0 {
		return time.Time{}
	}
	return time.Unix(p.booted, 0).Add(time.Duration(ticks) * time.Second / userHZ)
}

// program is the file to run for the version of a process: with a real /proc the very binary, even when its name is gone.
func (p proc) program(process runtimes.Process) string {
	var st unix.Statfs_t
	if err := unix.Statfs(p.dir, &st); err == nil && st.Type == unix.PROC_SUPER_MAGIC {
		return filepath.Join(p.of(process.PID), "exe")
	}
	return filepath.Join(p.root, process.Exe)
}

func split(argv []byte) []string {
	argv = bytes.TrimSuffix(argv, []byte{0})
	if len(argv) == 0 {
		return nil
	}
	return strings.Split(string(argv), "\x00")
}

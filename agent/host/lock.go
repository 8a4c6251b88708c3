package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const lockPath = folder + "/lock"

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("another mirrorlet is at work on this host")

// Lock makes this process the only one that commits, until Unlock or its end. If another one holds the lock, Lock waits for it until
// the context ends, or without wait returns ErrLocked with the holder's process and command. It makes /var/lib/mirrorlet where that
// is missing, and removes unfinished files and copies that a crash has left. Locking twice is the same as once.
func (h *Host) Lock(ctx context.Context, wait bool) error {
	if h.lock != nil {
		return nil
	}
	for h.lock == nil {
		err := h.settleIn()
		if err == nil {
			err = h.tryLock(ctx, wait)
		}
		if err != nil {
			return fmt.Errorf("lock %s: %w", lockPath, err)
		}
	}
	if err := h.nameHolder(); err != nil {
		h.Unlock()
		return fmt.Errorf("lock %s: %w", lockPath, err)
	}
	h.sweepAll()
	return nil
}

// Unlock lets others commit. It does nothing without a lock.
func (h *Host) Unlock() {
	if h.lock != nil {
		_ = h.lock.Close()
		h.lock = nil
	}
}

// tryLock takes the lock, or returns without it and without an error if the file that it locked is no longer the one at the path,
// because its holder has left the host.
func (h *Host) tryLock(ctx context.Context, wait bool) error {
	f, err := os.OpenFile(h.full(lockPath), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if absent(err) {
		return nil
	}
	if err != nil {
		return reason(err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		if !wait {
			defer func() { _ = f.Close() }()
			return fmt.Errorf("%w (%s); stop it, or try again when it is done", ErrLocked, holder(f))
		}
		err = await(ctx, f)
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	if !isAt(f, h.full(lockPath)) {
		_ = f.Close()
		return nil
	}
	h.lock = f
	return nil
}

// await blocks until the lock is ours. A wait for flock cannot be called off, so when the context ends, it goes on with a copy of
// the file and gives the lock back as soon as it has it.
func await(ctx context.Context, f *os.File) error {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	got := make(chan error, 1)
	go func() {
		err := unix.Flock(fd, unix.LOCK_EX)
		for errors.Is(err, unix.EINTR) {
			err = unix.Flock(fd, unix.LOCK_EX)
		}
		_ = unix.Close(fd) // f has the same lock
		got <- err
	}()
	select {
	case err := <-got:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func isAt(f *os.File, full string) bool {
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(full)
	return err == nil && os.SameFile(ours, there)
}

// nameHolder says in the lock file who holds it.
func (h *Host) nameHolder() error {
	command := strings.Join(os.Args, " ")
	if len(command) > 200 {
		command = command[:200] + "…"
	}
	if err := h.lock.Truncate(0); err != nil {
		return reason(err)
	}
	_, err := h.lock.WriteAt(fmt.Appendf(nil, "process %d: %s\n", os.Getpid(), command), 0)
	return reason(err)
}

func holder(f *os.File) string {
	line, err := io.ReadAll(io.LimitReader(f, 1024))
	if err != nil || len(line) == 0 {
		return "a process that has not said which"
	}
	return strings.TrimSpace(string(line))
}

// sweepAll removes unfinished files wherever we write, and copies for a parser: they hold credentials, and
// perhaps nobody stages again. A state that cannot be read is reported by who needs it.
func (h *Host) sweepAll() {
	for _, dir := range append(inMemory(), onDisk()...) {
		removeStale(h.full(dir))
	}
	d, _ := h.readState()
	dirs := []string{folder, originalsDir}
	for _, r := range d.Records {
		if dir := filepath.Dir(r.Path); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range dirs {
		h.sweep(h.full(dir))
	}
}

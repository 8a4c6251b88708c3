package parts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// lock takes a file for this process alone; the kernel gives it back when the process ends, however it ends.
func lock(ctx context.Context, out io.Writer, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	unlock = func() { _ = file.Close() }
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return unlock, err
	}
	fmt.Fprintf(out, "%s is held by another process, which makes the same part; waiting\n", path)
	taken := make(chan error, 1)
	go func() { taken <- syscall.Flock(int(file.Fd()), syscall.LOCK_EX) }()
	select {
	case err := <-taken:
		return unlock, err
	case <-ctx.Done():
		return nil, ctx.Err() // the goroutine keeps the file until the lock is its, and the process is about to end
	}
}

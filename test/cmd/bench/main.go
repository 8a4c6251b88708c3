// Bench measures edits of a MirrorConfig on a real API server and a real containerd, beside a simple program that polls, and prints
// tables (package bench). It needs root, and the parts etcd, kube-apiserver, kubectl and containerd-2.4.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/mirrorlet/mirrorlet/test/bench"
	"github.com/mirrorlet/mirrorlet/test/lab"
	"golang.org/x/sys/unix"
)

func main() {
	edits := flag.Int("edits", 200, "for each table")
	flag.Parse()
	if err := run(*edits); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(edits int) error {
	if err := lab.Enter(); err != nil {
		return err
	}
	programs, err := bench.Build(lab.Scratch())
	if err != nil {
		return err
	}
	fmt.Printf("go run ./cmd/bench -edits %d, %d processors, %s, load %s\n", edits, runtime.NumCPU(), kernel(), load())
	for _, registries := range []int{1, 50} {
		if err := table(programs, registries, edits); err != nil {
			return err
		}
	}
	return nil
}

// table has a lab of its own, so that nothing is left from the last one.
func table(p bench.Programs, registries, count int) error {
	l, err := lab.New()
	if err != nil {
		return err
	}
	b, err := bench.NewBed(l, p, registries)
	if err == nil {
		var edits []bench.Edit
		edits, err = b.Run(count)
		fmt.Printf("\nan edit of one mirror; registries in the MirrorConfig: %d\n", registries)
		err = errors.Join(err, bench.Print(os.Stdout, edits))
	}
	return errors.Join(err, b.Close(), l.Close())
}

// kernel is the release of the kernel, which does much of the work.
func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "an unknown kernel"
	}
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}

// load is how many processes wanted to run in the last minute, others' included, on average.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Fields(string(data))[0]
}

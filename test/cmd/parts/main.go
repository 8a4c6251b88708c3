// Parts builds or downloads the third-party programs that tests, demo and benchmarks run:
//
//	go run ./cmd/parts                    what there is
//	go run ./cmd/parts containerd-2.4 …   get these
//	go run ./cmd/parts all
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/mirrorlet/mirrorlet/test/parts"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "parts:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string) error {
	all, err := parts.List()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		list(all)
		return nil
	}
	if len(names) == 1 && names[0] == "all" {
		names = nil
		for _, p := range all {
			names = append(names, p.Name)
		}
	}
	return parts.Ensure(ctx, os.Stdout, names...)
}

func list(all []parts.Part) {
	for _, p := range all {
		where, err := parts.Path(p.Name)
		if err != nil {
			where = "not there yet"
		}
		fmt.Printf("%-16s %-8s %s\n", p.Name, p.Version(), where)
	}
}

// Demo shows what Mirrorlet does, and exits with 1 if any step of it does not hold. First, within seconds and without root, on a
// pretended host; then on real parts: registries with a private CA, a containerd, images, and the mirror's access log as the proof.
// Everything runs in namespaces of its own and is gone at the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/parts"
)

// part is the containerd that the demo runs.
const part = "containerd-2.4"

func main() {
	if err := demo(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo runs twice: outside the lab, where there is a network to build with, and inside, where nothing but the lab is.
func demo() error {
	program, err := filepath.Abs("../bin/mirrorlet")
	if err != nil {
		return err
	}
	began := time.Now()
	if lab.Scratch() == "" {
		if err := pretend(program); err != nil {
			return err
		}
		if os.Geteuid() != 0 {
			fmt.Println("\nThe second half runs a real containerd and needs root: sudo make demo")
			return nil
		}
		if err := get(); err != nil {
			return err
		}
	}
	if err := lab.Enter(); err != nil {
		return err
	}
	l, err := lab.New()
	if err != nil {
		return err
	}
	err = errors.Join(real(l, program), l.Close())
	if err == nil {
		fmt.Printf("\nEvery step held, in %s. Nothing is left of it on this machine.\n", time.Since(began).Round(time.Second/10))
	}
	return err
}

// get builds the containerd unless an earlier run has.
func get() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	title("A real containerd is needed. It is built once and kept in .cache")
	return parts.Ensure(ctx, os.Stdout, part)
}

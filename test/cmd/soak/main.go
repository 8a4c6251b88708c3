// Soak runs the fault harness for as long as it takes to meet every fault at every call, and cuts the power thousands of times. It
// prints tables and exits with 1 if anything went wrong. It needs root.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/mirrorlet/mirrorlet/test/faults"
	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
	"golang.org/x/sys/unix"
)

func main() {
	soak := faults.Soak{}
	flag.IntVar(&soak.Cuts, "cuts", 2000, "power cuts")
	flag.IntVar(&soak.Passes, "passes", 1000, "runs with a random fault at a random call")
	flag.IntVar(&soak.Stride, "stride", 1, "meet each fault at every n-th call")
	out := flag.String("out", "", "write the tables to this file as well")
	flag.Parse()
	if err := run(&soak, *out); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(soak *faults.Soak, out string) error {
	if err := lab.Enter(); err != nil {
		return err
	}
	soak.Out = os.Stdout
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return err
		}
		defer f.Close()
		soak.Out = io.MultiWriter(os.Stdout, f)
	}
	stories, err := prepare(soak)
	if err != nil {
		return err
	}
	began := time.Now()
	fmt.Fprintf(soak.Out, "make soak SOAK='-cuts %d -passes %d -stride %d', %d processors, %s\n\n", soak.Cuts, soak.Passes, soak.Stride, runtime.NumCPU(), kernel())
	if err := soak.Run(stories); err != nil {
		return err
	}
	fmt.Fprintf(soak.Out, "\n%d wrong, in %s\n", soak.Wrong, time.Since(began).Round(time.Second))
	if soak.Wrong > 0 {
		return fmt.Errorf("%d things went wrong", soak.Wrong)
	}
	return nil
}

// prepare builds the programs, mounts a folder in memory and plays the stories once.
func prepare(soak *faults.Soak) ([]faults.Story, error) {
	scratch := filepath.Join(lab.Scratch(), "soak")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		return nil, err
	}
	if err := unix.Mount("tmpfs", scratch, "tmpfs", 0, ""); err != nil {
		return nil, err
	}
	program, err := site.Build(lab.Scratch())
	if err != nil {
		return nil, err
	}
	simple := filepath.Join(lab.Scratch(), "simple")
	if out, err := exec.Command("go", "build", "-o", simple, "github.com/mirrorlet/mirrorlet/test/faults/simple").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the simple writers: %w: %s", err, out)
	}
	soak.Program, soak.Simple, soak.Scratch = faults.Program(program), faults.Program(simple), scratch
	ca, err := lab.NewCA("soak")
	if err != nil {
		return nil, err
	}
	stories, err := faults.ContainerdStories(lab.Scratch(), ca.PEM)
	if err != nil {
		return nil, err
	}
	host := filepath.Join(lab.Scratch(), "host")
	if err := os.Mkdir(host, 0o755); err != nil {
		return nil, err
	}
	return stories, soak.Program.Tell(host, faults.ContainerdHost(ca.PEM), stories)
}

// kernel is the release of the kernel, which does the real work here.
func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "an unknown kernel"
	}
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}

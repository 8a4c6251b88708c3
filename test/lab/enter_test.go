package lab_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/test/lab"
)

// victimEnv turns TestVictim into a program that does not end well.
const victimEnv = "LAB_VICTIM"

// TestVictim makes a lab with a process in it that would live on, says where, and then exits or waits to be killed.
func TestVictim(t *testing.T) {
	if os.Getenv(victimEnv) == "" {
		return // it is run by the test below
	}
	l := lab.Start(t)
	orphan := exec.Command("/bin/sh", "-c", "sleep 1000; exit", l.Root+"/orphan")
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	if os.Getenv(victimEnv) != "sigkill" { // whoever is killed cannot clean up cgroups
		if _, err := l.Machine("m", nil); err != nil && !errors.Is(err, lab.ErrNoCgroups) {
			t.Fatal(err)
		}
	}
	fmt.Println("ROOT", l.Root)
	if os.Getenv(victimEnv) == "exit" {
		os.Exit(3)
	}
	select {}
}

func TestWhateverHappensToAProgramNothingOfItsLabIsLeft(t *testing.T) {
	lab.Start(t) // or skip
	for how, end := range map[string]func(*exec.Cmd) error{
		"exit":    func(*exec.Cmd) error { return nil },
		"signal":  func(c *exec.Cmd) error { return c.Process.Signal(os.Interrupt) },
		"sigkill": func(c *exec.Cmd) error { return c.Process.Kill() },
	} {
		t.Run(how, func(t *testing.T) {
			victim := exec.Command("/proc/self/exe", "-test.run=^TestVictim$")
			victim.Env = append(os.Environ(), victimEnv+"="+how)
			out, err := victim.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := victim.Start(); err != nil {
				t.Fatal(err)
			}
			root := rootOf(bufio.NewScanner(out))
			if root == "" {
				t.Fatal("the victim did not make a lab")
			}
			if err := end(victim); err != nil {
				t.Fatal(err)
			}
			if err := victim.Wait(); err == nil {
				t.Error("the victim ended well")
			}
			if how == "exit" && victim.ProcessState.ExitCode() != 3 {
				t.Errorf("it exits with %d, and inside it was 3", victim.ProcessState.ExitCode())
			}
			if left := cgroups(t, filepath.Base(filepath.Dir(root))); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			if how != "sigkill" { // whoever is killed cannot clean up files; but its processes are gone
				if _, err := os.Stat(filepath.Dir(root)); !os.IsNotExist(err) {
					t.Errorf("%s: %v", filepath.Dir(root), err)
				}
			} else if err := os.RemoveAll(filepath.Dir(root)); err != nil {
				t.Error(err)
			}
			soon(t, func() bool { return !mentioned(t, root) }, "a process of the lab lives on")
		})
	}
}

// cgroups lists those of that name, wherever they are.
func cgroups(t *testing.T, name string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Name() == name {
			found = append(found, p)
		}
		return nil // one that has gone in the meantime is none
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func rootOf(lines *bufio.Scanner) string {
	for lines.Scan() {
		if root, found := strings.CutPrefix(lines.Text(), "ROOT "); found {
			return root
		}
	}
	return ""
}

// mentioned says whether a process has the text in its command line.
func mentioned(t *testing.T, text string) bool {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if line, err := os.ReadFile(f); err == nil && strings.Contains(string(line), text) {
			return true
		}
	}
	return false
}

// soon waits for what is done without a word to anybody. A shared machine may be busy.
func soon(t *testing.T, is func() bool, otherwise string) {
	t.Helper()
	deadline, tick := time.After(time.Minute), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-deadline:
			t.Fatal(otherwise)
		case <-tick.C:
		}
	}
}

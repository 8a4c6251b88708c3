package host

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be the program that enters a root: a process that has done so cannot come back.
func TestMain(m *testing.M) {
	if root := os.Getenv("MIRRORLET_TEST_ENTER"); root != "" {
		if err := asProgram(root); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(7)
	}
	os.Exit(m.Run())
}

// asProgram says what it sees from inside the root, one line after each line that it is sent.
func asProgram(root string) error {
	c, err := OpenConfig(os.Getenv("MIRRORLET_TEST_CONFIG"))
	if err != nil {
		return err
	}
	if err := Enter(root); err != nil {
		return err
	}
	marker, err := os.ReadFile("/etc/marker")
	if err != nil {
		return err
	}
	fmt.Printf("user %d sees %s\n", os.Geteuid(), marker)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if lines.Text() == "wait" {
			<-c.Changed()
		}
		content, err := fs.ReadFile(c.FS(), "a.yaml")
		fmt.Println(string(content), err)
	}
	return c.Close()
}

// outsider is such a program under way.
type outsider struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// start runs the test binary from a place where every user may, as the given user.
func start(t *testing.T, uid int, root, config string) outsider {
	t.Helper()
	cmd := exec.Command(program(t))
	cmd.Env = []string{"MIRRORLET_TEST_ENTER=" + root, "MIRRORLET_TEST_CONFIG=" + config}
	if uid != os.Geteuid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return outsider{cmd, in, bufio.NewScanner(out)}
}

func (o outsider) line(t *testing.T, say string) string {
	t.Helper()
	if say != "" {
		_, err := fmt.Fprintln(o.in, say)
		check(t, err)
	}
	if !o.out.Scan() {
		t.Fatalf("it ended: %v", o.cmd.Wait())
	}
	return o.out.Text()
}

// until says the same until the answer is right. One change may make two nudges, so the first answer may be the old one.
func (o outsider) until(t *testing.T, say, answer string) {
	t.Helper()
	for !strings.Contains(o.line(t, say), answer) {
	}
}

func program(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("/proc/self/exe")
	check(t, err)
	path := filepath.Join(shared(t), "program")
	check(t, os.WriteFile(path, content, 0o755))
	return path
}

// shared is a folder that every user may enter, with a root and a config in it.
func shared(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mirrorlet-test-")
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	return dir
}

func pretended(t *testing.T) (root, config string) {
	dir := shared(t)
	root, config = filepath.Join(dir, "root"), filepath.Join(dir, "config")
	check(t, os.MkdirAll(filepath.Join(root, "etc"), 0o755))
	check(t, os.WriteFile(filepath.Join(root, "etc/marker"), []byte("the root"), 0o644))
	check(t, os.Mkdir(config, 0o755))
	check(t, os.WriteFile(filepath.Join(config, "a.yaml"), []byte("first"), 0o644))
	return root, config
}

// users are who the tests enter a root as: who we are and, as root, also somebody without rights.
func users(t *testing.T) []int {
	if os.Geteuid() != 0 {
		need(t, userNamespaces(), "user namespaces")
		return []int{os.Geteuid()}
	}
	if !userNamespaces() {
		return []int{0}
	}
	return []int{0, 65534}
}

func userNamespaces() bool {
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	return cmd.Run() == nil
}

func TestAConfigOutsideOfTheRootIsReadAndWatchedFromInside(t *testing.T) {
	for _, uid := range users(t) {
		root, config := pretended(t)
		o := start(t, uid, root, config)
		if got := o.line(t, ""); got != "user 0 sees the root" {
			t.Fatalf("as user %d: %s", uid, got)
		}
		if got := o.line(t, "read"); got != "first <nil>" {
			t.Errorf("as user %d: %s", uid, got)
		}
		check(t, os.RemoveAll(config))
		o.until(t, "wait", "no such file")
		check(t, os.Mkdir(config, 0o755))
		o.line(t, "wait")
		for _, content := range []string{"second", "third"} { // the new folder is watched, and not only noticed
			check(t, os.WriteFile(filepath.Join(config, "a.yaml"), []byte(content), 0o644))
			o.until(t, "wait", content+" <nil>")
		}
		check(t, o.in.Close())
		if err := o.cmd.Wait(); o.cmd.ProcessState.ExitCode() != 7 {
			t.Errorf("as user %d the exit code is not passed on: %v", uid, err)
		}
	}
}

func TestSignalsPassThroughToTheProgramInside(t *testing.T) {
	for _, uid := range users(t) {
		root, config := pretended(t)
		o := start(t, uid, root, config)
		o.line(t, "")
		check(t, o.cmd.Process.Signal(unix.SIGTERM))
		err := o.cmd.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGTERM {
			t.Errorf("as user %d: %v", uid, err)
		}
	}
}

func TestEnterSaysWhyItCannot(t *testing.T) {
	for path, message := range map[string]string{
		"/nowhere-at-all": "no such file",
		"/proc/self/stat": "not a folder",
	} {
		if err := Enter(path); err == nil || !strings.Contains(err.Error(), message) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := Enter("/"); err != nil {
		t.Errorf("the root itself: %v", err)
	}
}

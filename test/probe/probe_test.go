package probe_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mirrorlet/mirrorlet/agent/probe"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/test/lab"
)

func TestAContainerdThatReadsTheFilesProvesItAndKeepsNothing(t *testing.T) {
	each(t, func(t *testing.T, c lab.ContainerdConfig) {
		r, d := listen(t), start(t, c)
		render(t, d.CertsD, revision, r)
		before := left(t, d)
		for range 3 {
			t.Logf("after %s", asked(t, r, d).After)
		}
		if after := left(t, d); after != before {
			t.Errorf("it has now:\n%s\nand had:\n%s", after, before)
		}
	})
}

func TestAnEntryThatIsMissingIsNotAskedFor(t *testing.T) {
	each(t, func(t *testing.T, c lab.ContainerdConfig) {
		r, d := listen(t), start(t, c)
		before := left(t, d)
		notAsked(t, r, d, upstream)
		render(t, d.CertsD, another, r)
		notAsked(t, r, d, upstream)
		if after := left(t, d); after != before {
			t.Errorf("it has now:\n%s\nand had:\n%s", after, before)
		}
		render(t, d.CertsD, revision, r)
		asked(t, r, d)
	})
}

// 1.x has no config_path by default; 2.4 has two directories, which it takes for the name of one unless it pulls locally.
func TestAContainerdWithoutAConfigPathDoesNotAskThoughTheFilesAreThere(t *testing.T) {
	each(t, func(t *testing.T, c lab.ContainerdConfig) {
		c.ConfigPath, c.Etc = "none", true
		l, r := lab.Start(t), listen(t)
		d, err := l.NewContainerd(c)
		must(t, err)
		render(t, d.Folder+"/etc/containerd/certs.d", revision, r)
		must(t, d.Start())
		if _, err := os.Stat(d.HostRoot() + "/etc/containerd/certs.d/" + runtimes.ProofName(revision) + "/hosts.toml"); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(c.Extra, "use_local_image_pull") {
			asked(t, r, d)
		} else {
			notAsked(t, r, d, upstream)
		}
	})
}

func TestAnEntryOfTheOwnersForAllRegistriesIsNotInTheWay(t *testing.T) {
	each(t, func(t *testing.T, c lab.ContainerdConfig) {
		r, d := listen(t), start(t, c)
		write(t, d.CertsD+"/_default/hosts.toml", "server = 'http://127.0.0.1:1'\n[host.'http://127.0.0.1:1']\n")
		notAsked(t, r, d, "dial tcp 127.0.0.1:1")
		render(t, d.CertsD, revision, r)
		asked(t, r, d)
	})
}

func TestAProxyOfTheDaemonIsNotInTheWay(t *testing.T) {
	each(t, func(t *testing.T, c lab.ContainerdConfig) {
		for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
			t.Setenv(name, "http://127.0.0.1:1")
		}
		r, d := listen(t), start(t, c)
		notAsked(t, r, d, "proxyconnect tcp: dial tcp 127.0.0.1:1")
		render(t, d.CertsD, revision, r)
		asked(t, r, d)
	})
}

func TestAContainerdThatStartsIsNeverTakenForOneThatDoesNotRead(t *testing.T) {
	each(t, func(t *testing.T, c lab.ContainerdConfig) {
		r, d := listen(t), start(t, c)
		render(t, d.CertsD, revision, r)
		must(t, d.Kill())
		started := make(chan error)
		go func() { started <- d.Start() }()
		early := 0
		for {
			a := r.Ask(t.Context(), d.Socket, runtimes.ProofName(revision))
			if a.Asked {
				break
			}
			if !errors.Is(a.Err, probe.ErrUnreachable) {
				t.Errorf("%+v", a)
				break
			}
			early++
		}
		must(t, <-started)
		if early == 0 {
			t.Error("no question came before it was ready")
		}
	})
}

func TestAContainerdWithoutCRIIsTold(t *testing.T) {
	each(t, func(t *testing.T, c lab.ContainerdConfig) {
		d, err := lab.Start(t).NewContainerd(c)
		must(t, err)
		config, err := os.ReadFile(d.Config())
		must(t, err)
		write(t, d.Config(), "disabled_plugins = ['io.containerd.grpc.v1.cri']\n"+string(config))
		// The lab's own way to start waits for the CRI.
		daemon := exec.Command(c.Binary, "--config", d.Config())
		must(t, daemon.Start())
		defer func() {
			must(t, daemon.Process.Kill())
			_ = daemon.Wait()
		}()
		cri, err := lab.DialCRI(d.Socket)
		must(t, err)
		defer cri.Close()
		if _, err := cri.Version(t.Context()); status.Code(err) != codes.Unimplemented {
			t.Fatal(err)
		}
		a := listen(t).Ask(t.Context(), d.Socket, runtimes.ProofName(revision))
		if a.Asked || !errors.Is(a.Err, probe.ErrNoCRI) {
			t.Errorf("%+v", a)
		}
	})
}

// Without the entry the question goes to a mirror for all registries, which takes the connection and says nothing.
func TestAPullThatHangsElsewhereIsGivenUpAndKeepsNothing(t *testing.T) {
	each(t, func(t *testing.T, c lab.ContainerdConfig) {
		r, d := listen(t), start(t, c)
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		defer func() { must(t, silent.Close()) }()
		url := "http://" + silent.Addr().String()
		write(t, d.CertsD+"/_default/hosts.toml", fmt.Sprintf("server = '%s'\n[host.'%s']\n", url, url))
		before := left(t, d)

		ctx, cancel := context.WithCancel(t.Context())
		answer := make(chan probe.Answer)
		go func() { answer <- r.Ask(ctx, d.Socket, runtimes.ProofName(revision)) }()
		_, err = silent.Accept()
		must(t, err)
		if during := left(t, d); !strings.Contains(during, "leases ls") {
			t.Errorf("the lease of the pull is not seen in %q", during)
		}
		cancel()
		if a := <-answer; a.Asked || !errors.Is(a.Err, context.Canceled) || !strings.Contains(a.Err.Error(), d.Socket) {
			t.Errorf("%+v", a)
		}
		// The runtime learns of it by itself, a moment later.
		patience, end := context.WithTimeout(t.Context(), time.Minute)
		defer end()
		for after := left(t, d); after != before; after = left(t, d) {
			if patience.Err() != nil {
				t.Fatalf("it has now:\n%s\nand had:\n%s", after, before)
			}
		}
	})
}

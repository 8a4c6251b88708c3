package e2e_test

import (
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
)

// member is a site whose node is in a cluster, its runtime started.
func member(t *testing.T, part, config string, labels ...string) *site.Cluster {
	t.Helper()
	lab.NeedAPIServer(t)
	s, l := startIn(t, part, config)
	must(t, s.Node.Start())
	api, err := l.APIServer(lab.APIServerConfig{})
	must(t, err)
	c, err := s.Join(api, "node-a", labels...)
	must(t, err)
	return c
}

// agent runs an agent until the test ends, and prints its log if the test fails.
func agent(t *testing.T, c *site.Cluster, args ...string) *site.Member {
	t.Helper()
	m, err := c.Agent(args...)
	must(t, err)
	t.Cleanup(func() {
		err := m.Stop()
		if err != nil || t.Failed() {
			t.Logf("the agent (%v) logged\n%s", err, m.Log())
		}
	})
	return m
}

func TestANodeOfAClusterIsEnrolledObeysAndLeaves(t *testing.T) {
	for _, d := range daemons {
		t.Run(d.names+d.config[:11], func(t *testing.T) {
			c := member(t, d.part, d.config)
			image(t, c.Site, "library/app:1")
			image(t, c.Site, "library/app:2")
			pristine, err := c.Tree()
			must(t, err)
			must(t, c.Want(c.Mirror))
			agent(t, c)

			must(t, c.Await("{.status.state}", "NotEnrolled"))
			if now, err := c.Tree(); err != nil || now != pristine {
				t.Errorf("a node that is not enrolled was touched (%v):\n%s", err, now)
			}
			kubectl(t, c, "label", "node", c.Name, "mirrorlet.dev/enabled=true")
			must(t, c.Obeyed("Proven"))
			must(t, c.Pull("library/app:1"))
			asked(t, c.Site, "library/app", c.Mirror)

			must(t, c.Want(c.Spare))
			must(t, c.Await("{.status.configs[0].generation}", "2"))
			must(t, c.Obeyed("Proven"))
			must(t, c.Pull("library/app:2"))
			asked(t, c.Site, "library/app", c.Spare)
			table := kubectl(t, c, "get", "mirrornodes")
			for _, want := range []string{"node-a", d.names, "Applied", "True", "1 registry is as asked"} {
				if !strings.Contains(table, want) {
					t.Errorf("the table does not say %q:\n%s", want, table)
				}
			}

			kubectl(t, c, "annotate", "node", c.Name, "mirrorlet.dev/enabled=false")
			must(t, c.Await("{.status.state}", "NotEnrolled"))
			if now, err := c.Tree(); err != nil || now != pristine {
				t.Errorf("after leaving the node is not as it was (%v):\n%s", err, now)
			}
		})
	}
}

func kubectl(t *testing.T, c *site.Cluster, args ...string) string {
	t.Helper()
	out, err := c.API.Kubectl(args...)
	must(t, err)
	return out
}

func TestARuntimeThatDoesNotReadWhatIsWrittenIsFoundOut(t *testing.T) {
	for _, d := range []struct{ part, config, reason string }{
		{"containerd-2.4", "", "TwoDirectoryConfigPath"},
		{"containerd-1.7", "version = 2\n" + quiet, "NoConfigPath"},
	} {
		t.Run(d.reason, func(t *testing.T) {
			c := member(t, d.part, d.config, "mirrorlet.dev/enabled=true")
			image(t, c.Site, "library/app:1")
			must(t, c.Want(c.Mirror))
			agent(t, c)
			must(t, c.Obeyed(d.reason)) // within the 30 seconds that it waits
			if status, err := c.Show(`{.status.conditions[?(@.type=="Obeyed")].status}`); err != nil || status != "False" {
				t.Errorf("Obeyed is %q, %v", status, err)
			}
			if err := c.Pull("library/app:1"); err == nil { // it asks the registry itself, whose CA only certs.d has
				t.Error("the pull succeeded, so certs.d is read after all")
			}
			asked(t, c.Site, "library/app")
		})
	}
}

func TestABadEditIsRefusedByTheAPIServerWithTheRemedy(t *testing.T) {
	c := member(t, "containerd-2.4", configV3+quiet, "mirrorlet.dev/enabled=true")
	must(t, c.Want(c.Mirror))
	bad := strings.Replace(c.Document(c.Mirror), "https://", "ftp://", 1)
	if out, err := c.API.Apply(bad); err == nil || !strings.Contains(err.Error(), "http") || !strings.Contains(err.Error(), "location") {
		t.Errorf("it said %q, %v", out, err)
	}
}

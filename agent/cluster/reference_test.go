package cluster

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/config"
)

// references has a MirrorConfig with a mirror that takes its headers' credentials from each of some Secrets, and a host at each of some Services.
func (s *server) references(name string, secrets, services []string) {
	var mirrors, hosts []string
	for _, secret := range secrets {
		mirrors = append(mirrors, fmt.Sprintf(`{"location": "https://%s.example", "auth": {"secretRef": {"name": %q}}}`, secret, secret))
	}
	for _, service := range services {
		namespace, n, _ := strings.Cut(service, "/")
		hosts = append(hosts, fmt.Sprintf(`{"names": ["%s.example"], "service": {"namespace": %q, "name": %q}}`, n, namespace, n))
	}
	s.put(configsPath, name, fmt.Sprintf(`{"apiVersion": "mirrorlet.dev/v1alpha1", "kind": "MirrorConfig",
		"spec": {"registries": [{"prefix": "r.io", "mirrors": [%s]}], "hosts": [%s]}}`, strings.Join(mirrors, ","), strings.Join(hosts, ",")))
}

// secret makes credentials.
func (s *server) secret(name, password string) {
	encode := func(v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) }
	s.put(secretsPath, name, fmt.Sprintf(`{"data": {"username": %q, "password": %q}}`, encode("u"), encode(password)))
}

// values reads, and returns what was found for references, as key=value.
func values(t *testing.T, c *Cluster) []string {
	t.Helper()
	d, errs, err := c.Read()
	if err != nil || len(errs) > 0 {
		t.Fatal(err, errs)
	}
	var all []string
	for key, value := range d.Compile(config.Options{Labels: map[string]string{"zone": "a"}}).References {
		if !strings.HasSuffix(key, "/username") {
			all = append(all, key+"="+string(value))
		}
	}
	slices.Sort(all)
	return all
}

func TestNothingIsWatchedThatNobodyNames(t *testing.T) {
	s := newServer()
	s.config("a", "a.io")
	s.secret("robot", "p")
	bubble(t, s, func(t *testing.T, c *Cluster) {
		values(t, c)
		for what := range s.count() {
			if strings.Contains(what, "namespaces") {
				t.Errorf("%s", what)
			}
		}
	})
}

func TestReferencesAreFollowed(t *testing.T) {
	const services = "/api/v1/namespaces/registry/services"
	s := newServer()
	s.secret("one", "p1")
	s.secret("other", "p2")
	s.put(services, "cache", `{"spec": {"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7", "fd00::7"]}}`)
	s.put(services, "headless", `{"spec": {"clusterIP": "None", "clusterIPs": ["None"]}}`)
	s.references("a", []string{"one"}, []string{"registry/cache", "registry/headless"})
	bubble(t, s, func(t *testing.T, c *Cluster) {
		expect := func(when string, want ...string) {
			t.Helper()
			if got := values(t, c); !slices.Equal(got, want) {
				t.Errorf("%s: %q", when, got)
			}
		}
		const address, headless = "Service/registry/cache/clusterIPs=10.0.0.7 fd00::7", "Service/registry/headless/clusterIPs=None"
		expect("at the first reading", "Secret/one/password=p1", address, headless)
		if s.open(secretsPath) != 1 || s.open(services) != 1 {
			t.Error("there is not one watch for each kind and namespace")
		}
		for at, r := range c.references {
			if at.kind == "Secret" && len(r.feed.state().items) != 1 {
				t.Error("a Secret that nobody names is kept")
			}
		}
		nudged(c)
		s.secret("other", "p3")
		if nudged(c) {
			t.Error("a Secret that nobody names is told")
		}
		s.secret("one", "p4")
		if !nudged(c) {
			t.Error("a new value is not told")
		}
		expect("after a change", "Secret/one/password=p4", address, headless)
		s.references("a", []string{"one", "other"}, []string{"registry/cache"})
		nudged(c)
		expect("when one more is named", "Secret/one/password=p4", "Secret/other/password=p3", address)
		s.remove(secretsPath, "one")
		if !nudged(c) {
			t.Error("a Secret that is deleted is not told")
		}
		expect("after it was deleted", "Secret/other/password=p3", address)
		s.references("a", nil, nil)
		nudged(c)
		expect("when none is named")
		time.Sleep(time.Second)
		if s.open(secretsPath)+s.open(services) > 0 || len(c.references) > 0 {
			t.Error("what nobody names any more is still watched")
		}
	})
}

func TestAReferenceThatHasJustComeUpIsAwaitedForAWhileOnly(t *testing.T) {
	s := newServer()
	s.secret("one", "p1")
	s.references("a", []string{"one"}, nil)
	slow := func(after time.Duration) func(*http.Request) (*http.Response, error) {
		return only(secretsPath, func(*http.Request) (*http.Response, error) { time.Sleep(after); return nil, nil })
	}
	for _, f := range []struct {
		name  string
		fault func(*http.Request) (*http.Response, error)
		most  time.Duration
		found bool
	}{
		{"an answer after a second is used", slow(time.Second), time.Second, true},
		{"one after ten seconds is not awaited", slow(10 * time.Second), referenceTime, false},
		{"none at all neither", only(secretsPath, hanging), referenceTime, false},
		{"a refusal is an answer", only(secretsPath, refusal(http.StatusForbidden, "Forbidden")), 0, false},
	} {
		t.Run(f.name, func(t *testing.T) {
			s.fail(f.fault)
			bubble(t, s, func(t *testing.T, c *Cluster) {
				began := time.Now()
				got := values(t, c)
				if found := len(got) > 0; found != f.found || time.Since(began) != f.most {
					t.Errorf("%q after %s", got, time.Since(began))
				}
				nudged(c)
				s.fail(nil)
				time.Sleep(answerTime + longestWait)
				if !f.found && !nudged(c) {
					t.Error("that it is there in the end is not told")
				}
				if got := values(t, c); len(got) != 1 {
					t.Errorf("in the end: %q", got)
				}
			})
		})
	}
}

func TestOnlyWhatThisNodeUsesIsFetched(t *testing.T) {
	s := newServer()
	s.secret("one", "p1")
	s.put(configsPath, "a", `{"apiVersion": "mirrorlet.dev/v1alpha1", "kind": "MirrorConfig", "spec": {"nodeSelector": {"zone": "b"},
		"registries": [{"prefix": "r.io", "mirrors": [{"location": "https://m.example", "auth": {"secretRef": {"name": "one"}}}]}]}}`)
	bubble(t, s, func(t *testing.T, c *Cluster) {
		values(t, c)
		if s.open(secretsPath) > 0 {
			t.Error("a Secret of other nodes is fetched")
		}
		nudged(c)
		s.put(nodesPath, "n1", `{"metadata": {"labels": {"zone": "b"}}}`)
		nudged(c)
		values(t, c)
		if s.open(secretsPath) != 1 {
			t.Error("a Secret of this node is not")
		}
	})
}

func TestWhatChangesWhileAReferenceIsAwaitedIsRead(t *testing.T) {
	s := newServer()
	s.secret("one", "p1")
	s.references("a", []string{"one"}, nil)
	s.fail(only(secretsPath, func(*http.Request) (*http.Response, error) { time.Sleep(time.Second); return nil, nil }))
	bubble(t, s, func(t *testing.T, c *Cluster) {
		time.AfterFunc(time.Second/2, func() { s.config("b", "b.io") })
		if got := read(t, c); got != "b.io r.io" || !c.Unchanged() {
			t.Errorf("got %q", got)
		}
	})
}

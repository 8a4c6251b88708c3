package cluster

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/config"
)

const servicesPath = "/api/v1/namespaces/registry/services"

// hosts reads, and returns the entries for /etc/hosts as names=addresses, the names that are held, and the problems.
func hosts(t *testing.T, c *Cluster, lastGood map[string][]byte) (entries, held []string, r config.Result) {
	t.Helper()
	d, errs, err := c.Read()
	if err != nil || len(errs) > 0 {
		t.Fatal(err, errs)
	}
	r = d.Compile(config.Options{Labels: map[string]string{"zone": "a"}, LastGood: lastGood})
	for _, h := range r.Intent.Hosts {
		entries = append(entries, strings.Join(h.Names, " ")+"="+strings.Join(h.Addresses, " "))
	}
	return entries, r.Intent.HeldHosts, r
}

func TestAnEntryGoesAndComesWithItsService(t *testing.T) {
	s := newServer()
	s.put(servicesPath, "cache", `{"spec": {"clusterIPs": ["10.0.0.7"]}}`)
	s.references("a", nil, []string{"registry/cache"})
	bubble(t, s, func(t *testing.T, c *Cluster) {
		var lastGood map[string][]byte
		expect := func(when string, want ...string) {
			t.Helper()
			if !nudged(c) {
				t.Errorf("%s: it is not told", when)
			}
			entries, held, r := hosts(t, c, lastGood)
			said := strings.Contains(r.Problems[0].Message, "cache.example is not in /etc/hosts")
			if !slices.Equal(entries, want) || len(held) > 0 || said != (len(want) == 0) {
				t.Errorf("%s: %q, held %q, problems %v", when, entries, held, r.Problems)
			}
			lastGood = r.References
		}
		hosts(t, c, nil)
		expect("at first", "cache.example=10.0.0.7")
		s.remove(servicesPath, "cache")
		expect("when it is deleted")
		s.put(servicesPath, "cache", `{"spec": {"clusterIPs": ["10.0.0.8"]}}`)
		expect("when it is made again", "cache.example=10.0.0.8")
		s.put(servicesPath, "cache", `{"spec": {"clusterIPs": ["None"]}}`)
		expect("when it turns headless")
		s.put(servicesPath, "cache", `{"spec": {"type": "ExternalName", "externalName": "x.example"}}`)
		expect("when it becomes another name")
		s.put(servicesPath, "cache", `{"spec": {"clusterIPs": ["10.0.0.9"]}}`)
		expect("in the end", "cache.example=10.0.0.9")
	})
}

func TestAServiceThatCannotBeAskedAboutKeepsItsEntry(t *testing.T) {
	lastGood := map[string][]byte{"Service/registry/cache/clusterIPs": []byte("10.0.0.7")}
	for name, fault := range map[string]func(*http.Request) (*http.Response, error){
		"forbidden": only(servicesPath, refusal(http.StatusForbidden, "Forbidden")),
		"silent":    only(servicesPath, hanging),
		"not found": only(servicesPath, refusal(http.StatusNotFound, "NotFound")),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer()
			s.references("a", nil, []string{"registry/cache"})
			s.fail(fault)
			bubble(t, s, func(t *testing.T, c *Cluster) {
				if entries, held, _ := hosts(t, c, nil); len(entries) > 0 || !slices.Equal(held, []string{"cache.example"}) {
					t.Errorf("that was never known: %q, held %q", entries, held)
				}
				if entries, held, _ := hosts(t, c, lastGood); !slices.Equal(entries, []string{"cache.example=10.0.0.7"}) || len(held) > 0 {
					t.Errorf("that was known: %q, held %q", entries, held)
				}
				s.fail(nil)
				time.Sleep(answerTime + longestWait)
				if entries, held, _ := hosts(t, c, lastGood); len(entries) > 0 || len(held) > 0 {
					t.Errorf("that is known to be gone: %q, held %q", entries, held)
				}
			})
		})
	}
}

func TestAServiceThatIsNamedAnewIsNotTakenForGone(t *testing.T) {
	s := newServer()
	s.put(servicesPath, "cache", `{"spec": {"clusterIPs": ["10.0.0.7"]}}`)
	s.put(servicesPath, "other", `{"spec": {"clusterIPs": ["10.0.0.8"]}}`)
	s.references("a", nil, []string{"registry/cache", "registry/other"})
	bubble(t, s, func(t *testing.T, c *Cluster) {
		_, _, r := hosts(t, c, nil)
		s.references("a", nil, []string{"registry/other"})
		nudged(c)
		hosts(t, c, nil)
		s.fail(only(servicesPath, hanging))
		s.references("a", nil, []string{"registry/cache", "registry/other"})
		nudged(c)
		if entries, held, _ := hosts(t, c, r.References); len(entries) != 2 || len(held) > 0 {
			t.Errorf("%q, held %q", entries, held)
		}
	})
}

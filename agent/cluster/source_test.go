package cluster

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/config"
)

// prefixes are the registries that documents want, in order.
func prefixes(d config.Documents) string {
	var all []string
	for _, r := range d.Compile(config.Options{Labels: map[string]string{}}).Intent.Registries {
		all = append(all, r.Prefix)
	}
	return strings.Join(all, " ")
}

func TestAChangeIsToldAtOnceAndReadOnce(t *testing.T) {
	s := newServer()
	s.config("a", "a.io")
	bubble(t, s, func(t *testing.T, c *Cluster) {
		if !nudged(c) || read(t, c) != "a.io" || !c.Unchanged() || nudged(c) {
			t.Error("the objects of the start are not read, or read twice")
		}
		before := time.Now()
		s.config("a", "b.io")
		if !nudged(c) || c.Unchanged() || read(t, c) != "b.io" {
			t.Error("a change is not told")
		}
		s.config("b", "c.io")
		s.config("c", "d.io")
		if !nudged(c) || nudged(c) || read(t, c) != "b.io c.io d.io" {
			t.Error("two changes are not told by one nudge")
		}
		if waited := time.Since(before); waited != 0 {
			t.Errorf("it took %s", waited)
		}
	})
}

func TestWhatChangesNothingForUsIsNotTold(t *testing.T) {
	s := newServer()
	s.config("a", "a.io")
	bubble(t, s, func(t *testing.T, c *Cluster) {
		read(t, c)
		nudged(c)
		s.config("a", "a.io")                                                           // another version, nothing else
		s.put(nodesPath, "n1", `{"metadata": {"uid": "u-1", "labels": {"zone": "a"}}}`) // as a kubelet does all the time
		s.put(nodesPath, "n2", `{"metadata": {"labels": {"zone": "b"}}}`)
		if nudged(c) || !c.Unchanged() {
			t.Error("told")
		}
	})
}

func TestABrokenObjectIsRefusedByItsName(t *testing.T) {
	s := newServer()
	s.config("a", "a.io")
	s.put(configsPath, "b", `{"apiVersion": "mirrorlet.dev/v1alpha1", "kind": "MirrorConfig", "spec": {"registry": []}}`)
	bubble(t, s, func(t *testing.T, c *Cluster) {
		d, errs, err := c.Read()
		if err != nil || !d.Refused() || len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), "MirrorConfig/b: spec.registry: ") || errs[0].Line != 0 {
			t.Errorf("got %v, %v", errs, err)
		}
	})
}

func TestAWatchThatLostItsPlaceListsAgain(t *testing.T) {
	s := newServer()
	s.config("a", "a.io")
	expired := refusal(http.StatusGone, "Expired")
	for name, lose := range map[string]func(){
		"the next watch is refused": func() {
			s.fail(func(r *http.Request) (*http.Response, error) {
				if r.URL.Query().Has("watch") {
					s.fail(nil)
					return expired(r)
				}
				return nil, nil
			})
			s.cut(io.EOF)
		},
		"the watch says so": func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			for w := range s.watches {
				if w.path == configsPath {
					w.events <- []byte(`{"type": "ERROR", "object": {"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410}}`)
				}
			}
		},
		"what it says makes no sense": func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			for w := range s.watches {
				if w.path == configsPath {
					w.events <- []byte("<html>")
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, s, func(t *testing.T, c *Cluster) {
				read(t, c)
				nudged(c)
				s.count()
				lose()
				time.Sleep(2 * cutWait)
				if n := s.count(); n["LIST "+configsPath] == 0 && n["LIST "+nodesPath] == 0 {
					t.Errorf("not listed: %v", n)
				}
				s.config("a", "b.io")
				if !nudged(c) || read(t, c) != "b.io" {
					t.Error("not followed")
				}
				s.config("a", "a.io")
			})
		})
	}
}

func TestAnIdleClusterIsHardlyAsked(t *testing.T) {
	s := newServer()
	s.config("a", "a.io")
	bubble(t, s, func(t *testing.T, c *Cluster) {
		read(t, c)
		s.count()
		const hours = 240
		time.Sleep(hours * time.Hour)
		for what, n := range s.count() {
			if !strings.HasPrefix(what, "WATCH") || float64(n)/hours > 1.4 {
				t.Errorf("%s: %.2f an hour", what, float64(n)/hours)
			}
		}
		s.config("a", "b.io")
		if !nudged(c) || read(t, c) != "b.io" {
			t.Error("a change after ten days is not seen")
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	s := newServer()
	asked := []time.Duration{}
	bubbleFrom := time.Time{}
	s.fail(only(configsPath, func(*http.Request) (*http.Response, error) {
		if bubbleFrom.IsZero() {
			bubbleFrom = time.Now()
		}
		asked = append(asked, time.Since(bubbleFrom))
		return answer(http.StatusTooManyRequests, nil, http.Header{"Retry-After": {"120"}}), nil
	}))
	bubble(t, s, func(t *testing.T, _ *Cluster) {
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		for i := 1; i < len(asked); i++ {
			if pause := asked[i] - asked[i-1]; pause < 120*time.Second || pause > 150*time.Second {
				t.Errorf("asked again after %s", pause)
			}
		}
		if len(asked) < 4 {
			t.Errorf("asked %d times", len(asked))
		}
	})
}

func TestASilentAPIServerIsNotAwaitedForEver(t *testing.T) {
	s := newServer()
	s.config("a", "a.io")
	bubble(t, s, func(t *testing.T, c *Cluster) {
		read(t, c)
		s.fail(hanging)
		s.cut(io.EOF)
		time.Sleep(time.Minute)
		s.fail(nil)
		s.config("a", "b.io")
		time.Sleep(answerTime + longestWait)
		if read(t, c) != "b.io" {
			t.Error("it still waits")
		}
	})
}

package cluster

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent"
)

func TestADeletionCountsWhenALaterListShowsItToo(t *testing.T) {
	s := newServer()
	s.config("a", "a.io")
	s.config("b", "b.io")
	bubble(t, s, func(t *testing.T, c *Cluster) {
		read(t, c)
		nudged(c)
		s.remove(configsPath, "b")
		time.Sleep(confirmation - time.Second)
		if nudged(c) || read(t, c) != "a.io b.io" {
			t.Error("it counts at once")
		}
		s.remove(configsPath, "a")
		time.Sleep(confirmation - time.Second)
		if nudged(c) || read(t, c) != "a.io b.io" {
			t.Error("the first counts while others go")
		}
		time.Sleep(time.Second)
		if !nudged(c) || read(t, c) != "" {
			t.Error("a confirmed deletion does not count")
		}
	})
}

func TestAnObjectThatComesBackWasNeverGone(t *testing.T) {
	s := newServer()
	s.config("a", "a.io")
	bubble(t, s, func(t *testing.T, c *Cluster) {
		read(t, c)
		nudged(c)
		s.remove(configsPath, "a")
		time.Sleep(time.Second)
		s.config("a", "a.io")
		time.Sleep(time.Minute)
		if nudged(c) || read(t, c) != "a.io" {
			t.Error("it was taken for gone")
		}
	})
}

func TestADeletedCRDTakesNothingAway(t *testing.T) {
	s := newServer()
	s.config("a", "a.io")
	s.config("b", "b.io")
	bubble(t, s, func(t *testing.T, c *Cluster) {
		read(t, c)
		nudged(c)
		s.remove(configsPath, "a")
		s.remove(configsPath, "b")
		time.Sleep(time.Second)
		s.fail(only(configsPath, refusal(http.StatusNotFound, "NotFound")))
		s.cut(io.EOF)
		time.Sleep(24 * time.Hour)
		if read(t, c) != "a.io b.io" || c.Connected() {
			t.Error("the objects went with their kind")
		}
		s.fail(nil)
		s.config("b", "c.io")
		for end := time.Now().Add(longestWait); !nudged(c) && time.Now().Before(end); {
			time.Sleep(time.Second)
		}
		if got := read(t, c); got != "a.io c.io" {
			t.Errorf("while the kind comes back: %q", got)
		}
		time.Sleep(confirmation)
		if got := read(t, c); got != "c.io" || !c.Connected() {
			t.Errorf("after that: %q", got)
		}
	})
}

func TestNothingIsKnownUntilTheAPIServerHasSaidSo(t *testing.T) {
	status := func(code int, reason string) func(*http.Request) (*http.Response, error) {
		return only(configsPath, refusal(code, reason))
	}
	for _, f := range []struct {
		name, remedy string
		fault        func(*http.Request) (*http.Response, error)
	}{
		{"the kind is missing", "apply the CRDs", status(404, "NotFound")},
		{"we may not", "ClusterRole", status(403, "Forbidden")},
		{"our token is not accepted", "token", status(401, "Unauthorized")},
		{"it is overloaded", "tried again", status(500, "InternalError")},
		{"it does not answer", "look at the API server", only(configsPath, hanging)},
		{"there is none", "tried again", only(configsPath, func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })},
		{"the list breaks off", "tried again", only(configsPath, func(*http.Request) (*http.Response, error) {
			body := `{"kind": "MirrorConfigList", "metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "b"}},`
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body))}, nil
		})},
		{"something else answers", "tried again", only(configsPath, func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("<html>sign in</html>"))}, nil
		})},
	} {
		t.Run(f.name, func(t *testing.T) {
			s := newServer()
			s.fail(f.fault)
			bubble(t, s, func(t *testing.T, c *Cluster) {
				if _, _, err := c.Read(); !errors.Is(err, agent.ErrUnknown) {
					t.Errorf("at first: %v", err)
				}
				time.Sleep(time.Hour)
				if _, _, err := c.Read(); !errors.Is(err, agent.ErrUnknown) || !strings.Contains(fmt.Sprint(err), f.remedy) || c.Connected() {
					t.Errorf("later: %v", err)
				}
				if n := s.count()["LIST "+configsPath]; n < 55 || n > 250 {
					t.Errorf("it asked %d times in an hour", n)
				}
				nudged(c)
				s.config("a", "a.io")
				s.fail(nil)
				time.Sleep(longestWait + answerTime)
				if !nudged(c) || read(t, c) != "a.io" || !c.Connected() {
					t.Error("it is not read in the end")
				}
			})
		})
	}
}

func TestAnEmptySetIsUnknownWhileTheAPIServerDoesNotAnswer(t *testing.T) {
	s := newServer()
	bubble(t, s, func(t *testing.T, c *Cluster) {
		if read(t, c) != "" {
			t.Error("not empty")
		}
		s.fail(refusal(http.StatusForbidden, "Forbidden"))
		s.cut(io.EOF)
		time.Sleep(time.Minute)
		if _, _, err := c.Read(); !errors.Is(err, agent.ErrUnknown) || !nudged(c) {
			t.Errorf("got %v", err)
		}
		s.fail(nil)
		time.Sleep(time.Minute)
		if !nudged(c) || read(t, c) != "" {
			t.Error("not known again")
		}
	})
}

func TestAPIServerIsAwayForDays(t *testing.T) {
	s := newServer()
	s.config("a", "a.io")
	bubble(t, s, func(t *testing.T, c *Cluster) {
		read(t, c)
		nudged(c)
		left := time.Now()
		s.fail(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })
		s.cut(io.ErrUnexpectedEOF)
		s.count()
		time.Sleep(5 * 24 * time.Hour)
		if read(t, c) != "a.io" || nudged(c) || c.Connected() || !c.Fresh().Equal(left) {
			t.Errorf("something changed; fresh %s", c.Fresh().Sub(left))
		}
		for what, n := range s.count() {
			if perHour := n / (5 * 24); perHour > 240 {
				t.Errorf("%s: %d times an hour", what, perHour)
			}
		}
		s.fail(nil)
		s.config("a", "b.io")
		time.Sleep(longestWait)
		if !nudged(c) || read(t, c) != "b.io" || !c.Connected() || c.Fresh() != time.Now() {
			t.Error("what changed meanwhile is not read")
		}
		if n := s.count(); n["LIST "+configsPath] > 0 {
			t.Errorf("the watch did not go on from where it was: %v", n)
		}
	})
}

func TestAnOutageOfLongAgoDoesNotSlowTheNext(t *testing.T) {
	s := newServer()
	s.config("a", "a.io")
	bubble(t, s, func(t *testing.T, c *Cluster) {
		s.fail(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })
		s.cut(io.EOF)
		time.Sleep(time.Hour)
		s.fail(nil)
		time.Sleep(2 * settledIn)
		s.cut(io.EOF)
		s.config("a", "b.io")
		time.Sleep(cutWait)
		if read(t, c) != "b.io" {
			t.Error("it is still waited for long")
		}
	})
}

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

func TestWhoIsEnrolled(t *testing.T) {
	const yes, no, odd = `"mirrorlet.dev/enabled": "true"`, `"mirrorlet.dev/enabled": "false"`, `"mirrorlet.dev/enabled": "yes"`
	for _, n := range []struct {
		name, labels, annotations string
		annotated, all            bool
	}{
		{"a node that says nothing", "", "", false, true},
		{"one with the label", yes, "", true, true},
		{"one with the annotation", "", yes, true, true},
		{"one with the label, and an annotation against it", yes, no, false, false},
		{"one with the annotation, and a label against it", no, yes, false, false},
		{"one that says no", no, "", false, false},
		{"one that says something else", odd, "", false, true},
	} {
		t.Run(n.name, func(t *testing.T) {
			for _, all := range []bool{false, true} {
				s := newServer()
				s.put(nodesPath, "n1", fmt.Sprintf(`{"metadata": {"labels": {%s}, "annotations": {%s}}}`, n.labels, n.annotations))
				bubbleOf(t, s, Options{EnrollAll: all}, func(t *testing.T, c *Cluster) {
					want := n.annotated
					if all {
						want = n.all
					}
					if got, err := c.Node(); err != nil || got.Enrolled != want {
						t.Errorf("with all %t: %+v, %v", all, got, err)
					}
				})
			}
		})
	}
}

func TestWhatIsSaidOfTheNode(t *testing.T) {
	s := newServer()
	bubbleOf(t, s, Options{}, func(t *testing.T, c *Cluster) {
		node, err := c.Node()
		if err != nil || node.Name != "n1" || node.Labels["zone"] != "a" || node.Paused != "" || c.UID() != "u-1" || c.RuntimeVersion() != "containerd://2.4.2" {
			t.Errorf("got %+v, %v, %q, %q", node, err, c.UID(), c.RuntimeVersion())
		}
		nudged(c)
		s.put(nodesPath, "n1", `{"metadata": {"annotations": {"mirrorlet.dev/paused": ""}}}`)
		if !nudged(c) {
			t.Error("a pause is not told")
		}
		if node, err = c.Node(); err != nil || node.Paused != "the annotation mirrorlet.dev/paused of Node n1" || node.Labels == nil {
			t.Errorf("got %+v, %v", node, err)
		}
		if n := s.count(); n["GET "+nodesPath+"/n1"] != 1 || n["LIST "+configsPath] > 0 {
			t.Errorf("asked %v", n)
		}
	})
}

func TestANodeThatIsDeletedStaysAsItWas(t *testing.T) {
	s := newServer()
	s.put(nodesPath, "n1", `{"metadata": {"labels": {"mirrorlet.dev/enabled": "true"}}}`)
	bubbleOf(t, s, Options{}, func(t *testing.T, c *Cluster) {
		nudged(c)
		s.remove(nodesPath, "n1")
		time.Sleep(time.Hour)
		s.fail(refusal(http.StatusGone, "Expired"))
		s.cut(io.EOF)
		time.Sleep(time.Minute)
		s.fail(nil)
		time.Sleep(time.Hour)
		if node, err := c.Node(); err != nil || !node.Enrolled || nudged(c) {
			t.Errorf("got %+v, %v", node, err)
		}
		s.put(nodesPath, "n1", `{"metadata": {"uid": "u-2"}}`)
		if node, err := c.Node(); !nudged(c) || err != nil || c.UID() != "u-2" {
			t.Errorf("a new one of the same name: %+v, %v", node, err)
		}
	})
}

func TestANodeThatNobodyKnowsIsUnknown(t *testing.T) {
	for name, f := range map[string]struct {
		remedy string
		fault  func(*http.Request) (*http.Response, error)
	}{
		"there is none of that name": {"spec.nodeName", nil},
		"we may not look":            {"ClusterRole", refusal(http.StatusForbidden, "Forbidden")},
		"nobody answers":             {"look at the API server", hanging},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer()
			s.remove(nodesPath, "n1")
			s.fail(f.fault)
			bubbleOf(t, s, Options{}, func(t *testing.T, c *Cluster) {
				time.Sleep(time.Minute)
				if _, err := c.Node(); !errors.Is(err, agent.ErrUnknown) || !strings.Contains(err.Error(), f.remedy) {
					t.Errorf("got %v", err)
				}
				s.fail(nil)
				s.put(nodesPath, "n1", `{}`)
				time.Sleep(time.Minute)
				if _, err := c.Node(); err != nil || !nudged(c) {
					t.Errorf("in the end: %v", err)
				}
			})
		})
	}
}

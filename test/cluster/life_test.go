package cluster_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/test/site"
)

// TestALifeNeedsAllRightsAndNoMoreAndAsksNothingAtRest looks at what an API server notes of an agent's requests while a node is enrolled,
// obeys one edit and another, tells Events, rests, and leaves. The component own-node is in force.
func TestALifeNeedsAllRightsAndNoMoreAndAsksNothingAtRest(t *testing.T) {
	t.Parallel()
	audit, err := site.NewAudit(t.TempDir())
	must(t, err)
	m := join(t, "127.0.0.3", audit.Config())
	m.limit()
	m.want(m.Mirror)
	m.apply(`{apiVersion: mirrorlet.dev/v1alpha1, kind: MirrorConfig, metadata: {name: hosts}, spec: {hosts: [
{names: [kubernetes.example], service: {namespace: default, name: kubernetes, port: 443}}]}}`)
	m.obeys(m.Mirror)
	m.want(m.Spare)
	m.obeys(m.Spare)
	for range 2 { // the second time the Event is counted up
		m.kubectl("annotate", "node", m.Name, "mirrorlet.dev/paused=true")
		m.awaits("{.status.state}", "Paused")
		m.kubectl("annotate", "node", m.Name, "mirrorlet.dev/paused-")
		m.awaits("{.status.state}", "Applied")
	}

	before := m.settled(audit)
	m.stays(m.tree(), time.Minute)
	if rest := m.notes(audit)[len(before):]; len(rest) > 0 {
		t.Errorf("in a minute of rest it asked\n%s", text(rest))
	}
	if open := watches(before); len(open) != 5 || slices.Max(slices.Collect(maps.Values(open))) > 1 {
		t.Errorf("at rest it has these watches open: %v", open)
	}

	m.want(m.Mirror)
	m.obeys(m.Mirror)
	m.kubectl("label", "node", m.Name, "mirrorlet.dev/enabled=false", "--overwrite")
	m.awaits("{.status.state}", "NotEnrolled")
	m.settled(audit)
	m.stop()
	m.needed(m.notes(audit))
}

// limit puts the component own-node into force.
func (m *member) limit() {
	m.t.Helper()
	m.kubectl("apply", "--filename="+site.Manifests("components/own-node/policy.yaml"))
	kubeconfig, err := m.API.TokenKubeconfig(site.Namespace, "mirrorlet") // of no Pod, and so of no node
	must(m.t, err)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for over := time.After(30 * time.Second); ; {
		_, err := m.API.KubectlAs(kubeconfig, "{apiVersion: mirrorlet.dev/v1alpha1, kind: MirrorNode, metadata: {name: other}}",
			"create", "--dry-run=server", "--filename=-")
		if err != nil && strings.Contains(err.Error(), "the token does not name a node") {
			return
		}
		select {
		case <-tick.C: // nothing tells that a policy is in force
		case <-over:
			m.t.Fatalf("the policy is not in force: %v", err)
		}
	}
}

// notes is what the agent asked so far, without the ends of watches and what the test has asked with its account.
func (m *member) notes(audit *site.Audit) []site.Note {
	m.t.Helper()
	all, err := audit.Notes()
	must(m.t, err)
	return slices.DeleteFunc(all, func(n site.Note) bool { return n.Ended() || !strings.HasPrefix(n.UserAgent, "mirrorlet/") })
}

// settled waits until the agent has asked nothing for longer than it takes any pause between two requests about one change.
func (m *member) settled(audit *site.Audit) []site.Note {
	m.t.Helper()
	for over := time.Now().Add(time.Minute); ; {
		before := m.notes(audit)
		m.stays(m.tree(), sure)
		if len(m.notes(audit)) == len(before) {
			return before
		}
		if time.Now().After(over) {
			m.t.Fatalf("it does not come to rest:\n%s", text(m.notes(audit)[len(before):]))
		}
	}
}

func text(notes []site.Note) string {
	var b strings.Builder
	for _, n := range notes {
		fmt.Fprintln(&b, n)
	}
	return b.String()
}

// watches are those that are open after all of these requests, by what is watched.
func watches(notes []site.Note) map[string]int {
	open := map[string]int{}
	for _, n := range notes {
		if n.Verb == "watch" && n.Stage == "ResponseStarted" {
			open[n.ObjectRef.Namespace+"/"+n.ObjectRef.Resource]++
		}
	}
	return open
}

// needed checks that nothing was denied, and that every right was used.
func (m *member) needed(notes []site.Note) {
	m.t.Helper()
	used := map[string]bool{}
	for _, n := range notes {
		if n.ResponseStatus.Code == http.StatusForbidden || n.ResponseStatus.Code == http.StatusUnauthorized {
			m.t.Errorf("it was denied %s", n)
		}
		resource := n.ObjectRef.Resource
		if n.ObjectRef.Subresource != "" {
			resource += "/" + n.ObjectRef.Subresource
		}
		used[n.Verb+" "+resource] = true
	}
	for _, right := range m.granted() {
		verb, resource, _ := strings.Cut(right, " ")
		if used[right] || verb == "get" && used["list "+resource] { // who may list may get as well
			continue
		}
		m.t.Errorf("it may %s, and in a whole life never did: that right is too much", right)
	}
}

// granted are all rights that the manifests give.
func (m *member) granted() []string {
	m.t.Helper()
	var list struct {
		Items []struct {
			Rules []struct{ Resources, Verbs []string }
		}
	}
	out := m.kubectl("get", "clusterroles,roles", "--all-namespaces", "--selector=app.kubernetes.io/name=mirrorlet", "-o=json")
	must(m.t, json.Unmarshal([]byte(out), &list))
	var all []string
	for _, role := range list.Items {
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					all = append(all, verb+" "+resource)
				}
			}
		}
	}
	if len(all) < 20 {
		m.t.Fatalf("these are not all rights: %v", all)
	}
	return all
}

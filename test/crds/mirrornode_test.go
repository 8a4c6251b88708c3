package crds_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

// full is a status with every field.
func full() v1alpha1.MirrorNodeStatus {
	now := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	return v1alpha1.MirrorNodeStatus{
		State: v1alpha1.NodeApplied, Message: "2 registries, 2 mirrors", Runtime: "containerd 2.4.2", Agent: "v0.2.0", Revision: "0123456789ab",
		Configs: []v1alpha1.ConfigStatus{{Name: "cluster", Generation: 3}}, MirrorCount: "2",
		Mirrors:    []v1alpha1.MirrorStatus{{Location: "https://a.example.com", Registries: 1}, {Location: "https://b.example.com/hub", Registries: 2}},
		Problems:   []v1alpha1.ProblemStatus{{Registry: "quay.io", Reason: "Conflict", Message: "m", From: "MirrorConfig/cluster registries[0]"}, {Reason: "NoConfigPath", Message: "n"}},
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionObeyed, Status: metav1.ConditionTrue, Reason: "Proven", Message: "p", LastTransitionTime: now, ObservedGeneration: 1}},
		Heartbeat:  &now,
	}
}

// report makes a MirrorNode and writes its status, as an agent does.
func report(t *testing.T, s server, node string, status any) (string, error) {
	t.Helper()
	if _, err := s.Apply("{apiVersion: mirrorlet.dev/v1alpha1, kind: MirrorNode, metadata: {name: " + node + "}}"); err != nil {
		t.Fatal(err)
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		t.Fatal(err)
	}
	return s.Kubectl("patch", "mn", node, "--subresource=status", "--type=merge", "--patch", string(patch), "--output=jsonpath={.status}")
}

func everyField(t *testing.T, s server) {
	said, err := report(t, s, "worker-1", full())
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	var got v1alpha1.MirrorNodeStatus
	if err := json.Unmarshal([]byte(said), &got); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(got); err != nil || string(again) != string(want) {
		t.Errorf("got %s, %v\nwant %s", again, err, want)
	}
}

func columns(t *testing.T, s server) {
	if _, err := report(t, s, "worker-1", full()); err != nil {
		t.Fatal(err)
	}
	table, err := s.Kubectl("get", "mn", "worker-1")
	if err != nil {
		t.Fatal(err)
	}
	head, row, _ := strings.Cut(table, "\n")
	if got := strings.Join(strings.Fields(head), " "); got != "NAME RUNTIME STATE OBEYED MIRRORS MESSAGE AGE" {
		t.Errorf("got %s", head)
	}
	if got := strings.Join(strings.Fields(row), " "); !strings.HasPrefix(got, "worker-1 containerd 2.4.2 Applied True 2 2 registries, 2 mirrors ") {
		t.Errorf("got %s", row)
	}
}

func newerAgent(t *testing.T, s server) {
	said, err := report(t, s, "worker-2", map[string]any{"state": "Draining", "message": "m", "news": "n"})
	if err != nil || said != `{"message":"m","state":"Draining"}` {
		t.Errorf("got %s, %v", said, err)
	}
}

func byTheWay(t *testing.T, s server) {
	if _, err := s.Apply("{apiVersion: mirrorlet.dev/v1alpha1, kind: MirrorNode, metadata: {name: worker-3}, status: {state: Applied}}"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Kubectl("get", "mn", "worker-3", "--output=jsonpath={.status}"); err != nil || got != "" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTheReferenceNamesEveryFieldOfAMirrorNode(t *testing.T) {
	page, err := os.ReadFile(filepath.FromSlash("../../docs/reference/mirrornode.md"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	for field := range fields {
		if !strings.Contains(string(page), "| `"+field+"` |") {
			t.Errorf("mirrornode.md has no row for %s", field)
		}
	}
}

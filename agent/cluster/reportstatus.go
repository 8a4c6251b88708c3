package cluster

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

// How much of a status is reported. Each node has an object, and etcd keeps all of them: what is left out is told by the metrics'
// numbers and by `mirrorlet plan` on the node.
const (
	maxProblems = 100
	maxMirrors  = 200
	maxConfigs  = 200
	maxText     = 1 << 10 // bytes of one text
)

// NotShown is the reason of the last entry of problems where there are more of them than are reported.
const NotShown = "NotShown"

// bounded is a status that shares nothing with the one given, within the bounds, in order and in valid UTF-8: what comes back from the
// API server must equal it, else it would be written again and again.
func bounded(status v1alpha1.MirrorNodeStatus) v1alpha1.MirrorNodeStatus {
	s := *status.DeepCopy()
	s.Heartbeat = nil
	for _, text := range []*string{&s.Message, &s.Runtime, &s.Agent, &s.Revision} {
		*text = clip(*text)
	}
	for i := range s.Problems {
		p := &s.Problems[i]
		p.Registry, p.Reason, p.Message, p.From = clip(p.Registry), clip(p.Reason), clip(p.Message), clip(p.From)
	}
	for i := range s.Conditions {
		s.Conditions[i].Message = clip(s.Conditions[i].Message)
	}
	if left := len(s.Problems) - maxProblems + 1; left > 1 {
		s.Problems = append(s.Problems[:maxProblems-1], v1alpha1.ProblemStatus{
			Reason: NotShown, Message: fmt.Sprintf("%d more problems are not shown here; `mirrorlet plan` on the node shows all of them", left),
		})
	}
	s.Mirrors = unique(s.Mirrors, func(m v1alpha1.MirrorStatus) string { return m.Location }, maxMirrors)
	s.Configs = unique(s.Configs, func(c v1alpha1.ConfigStatus) string { return c.Name }, maxConfigs)
	s.Conditions = unique(s.Conditions, func(c metav1.Condition) string { return c.Type }, len(s.Conditions))
	return s
}

// unique are the first entries of a list in the order of their keys, each key once: the API server refuses a list map with the same key twice.
func unique[T any](list []T, key func(T) string, limit int) []T {
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	list = slices.CompactFunc(list, func(a, b T) bool { return key(a) == key(b) })
	return list[:min(len(list), limit)]
}

// clip cuts a text at the bound, between two characters.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxText {
		return s
	}
	const more = "…"
	end := maxText - len(more)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + more
}

// conditions are those wanted, each with the time since when it has the status that it has, and those of others, who own their types. They
// stay in the order that they have.
func conditions(have, want []metav1.Condition, now time.Time) []metav1.Condition {
	var all []metav1.Condition
	left := slices.Clone(want)
	for _, h := range have {
		i := slices.IndexFunc(left, func(c metav1.Condition) bool { return c.Type == h.Type })
		switch {
		case i < 0 && h.Type != v1alpha1.ConditionObeyed:
			all = append(all, h)
		case i >= 0 && left[i].Status == h.Status:
			left[i].LastTransitionTime = h.LastTransitionTime
			all, left = append(all, left[i]), slices.Delete(left, i, i+1)
		}
	}
	for _, c := range left {
		c.LastTransitionTime = seconds(now)
		all = append(all, c)
	}
	return all
}

// seconds is a time as JSON has it.
func seconds(t time.Time) metav1.Time { return metav1.Time{Time: t.UTC().Truncate(time.Second)} }

// difference is the merge patch that makes one status of the other, field by field; empty where nothing differs. The heartbeat is no
// difference, and a field that only another version of the agent knows is in neither, and so stays.
func difference(have, want v1alpha1.MirrorNodeStatus) (map[string]json.RawMessage, error) {
	have.Heartbeat, want.Heartbeat = nil, nil
	old, err := fields(have)
	if err != nil {
		return nil, err
	}
	patch, err := fields(want)
	if err != nil {
		return nil, err
	}
	for name, value := range old {
		switch now, wanted := patch[name]; {
		case !wanted:
			patch[name] = json.RawMessage("null")
		case bytes.Equal(value, now):
			delete(patch, name)
		}
	}
	return patch, nil
}

func fields(status v1alpha1.MirrorNodeStatus) (map[string]json.RawMessage, error) {
	text, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	all := map[string]json.RawMessage{}
	return all, json.Unmarshal(text, &all)
}

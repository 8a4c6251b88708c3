package cluster

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

func TestAReportIsBoundedAndSaysWhatIsLeftOut(t *testing.T) {
	long := strings.Repeat("ü", 5000)
	s := v1alpha1.MirrorNodeStatus{Message: "x" + long, Conditions: []metav1.Condition{{Type: "Obeyed", Message: long}}}
	for i := range 1000 {
		s.Problems = append(s.Problems, v1alpha1.ProblemStatus{Registry: fmt.Sprint(i), Reason: "Conflict", Message: long, From: long})
		s.Mirrors = append(s.Mirrors, v1alpha1.MirrorStatus{Location: fmt.Sprintf("https://m%03d", i)})
	}
	b := bounded(s)
	if len(b.Problems) != maxProblems || len(b.Mirrors) != maxMirrors {
		t.Errorf("%d problems, %d mirrors", len(b.Problems), len(b.Mirrors))
	}
	if last := b.Problems[maxProblems-1]; last.Reason != NotShown || !strings.HasPrefix(last.Message, "901 more problems") {
		t.Errorf("the last one: %+v", last)
	}
	for _, text := range []string{b.Message, b.Problems[0].Message, b.Problems[0].From, b.Conditions[0].Message} {
		if len(text) > maxText || !utf8.ValidString(text) || !strings.HasSuffix(text, "ü…") {
			t.Errorf("a text of %d bytes that ends with %q", len(text), text[len(text)-6:])
		}
	}
	if len(s.Problems[0].Message) != len(long) || len(s.Problems) != 1000 {
		t.Error("the caller's status was changed")
	}
}

func TestAHundredProblemsAreShownAllOfThem(t *testing.T) {
	s := v1alpha1.MirrorNodeStatus{Problems: make([]v1alpha1.ProblemStatus, maxProblems)}
	if b := bounded(s); len(b.Problems) != maxProblems || b.Problems[maxProblems-1].Reason == NotShown {
		t.Errorf("the last of %d: %+v", len(b.Problems), b.Problems[len(b.Problems)-1])
	}
}

func TestWhatTheAPIServerWouldRefuseOrChangeIsNotSent(t *testing.T) {
	b := bounded(v1alpha1.MirrorNodeStatus{
		Message: "a\xffb",
		Mirrors: []v1alpha1.MirrorStatus{{Location: "https://b"}, {Location: "https://a", Registries: 1}, {Location: "https://b"}},
		Configs: []v1alpha1.ConfigStatus{{Name: "x", Generation: 1}, {Name: "x", Generation: 2}},
	})
	if b.Message != "a\uFFFDb" {
		t.Errorf("message %q", b.Message)
	}
	if len(b.Mirrors) != 2 || b.Mirrors[0].Location != "https://a" || len(b.Configs) != 1 {
		t.Errorf("mirrors %v, configs %v", b.Mirrors, b.Configs)
	}
}

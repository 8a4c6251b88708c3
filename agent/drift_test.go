package agent

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

const spegel = "server = 'https://quay.io'\n\n[host.'http://10.0.0.1:30020']\ncapabilities = ['pull']\ndial_timeout = '200ms'\n"

// clock is a clock of the test's own, and a log.
func clock(a *Agent) (*time.Duration, *bytes.Buffer) {
	now, log := new(time.Duration), new(bytes.Buffer)
	a.Uptime, a.Log = func() time.Duration { return *now }, slog.New(slog.NewTextHandler(log, nil))
	return now, log
}

func problemOf(r Report, reason runtimes.Reason) string {
	for _, p := range r.Problems {
		if p.Reason == reason {
			return p.String()
		}
	}
	return ""
}

func TestAFileThatSpegelKeepsOverwritingIsLeftToIt(t *testing.T) {
	a, file := pretended(t, document(quay+ghcr))
	now, log := clock(a)
	pass(t, a)
	ours := get(a, quayFile)
	for range 5 {
		put(t, a, quayFile, spegel)
		if pass(t, a); get(a, quayFile) != ours {
			t.Fatal("it is not put back")
		}
	}
	put(t, a, quayFile, spegel)
	for range 3 {
		r := pass(t, a)
		if get(a, quayFile) != spegel || !strings.Contains(problemOf(r, runtimes.ForeignOwner), "again and again by Spegel") {
			t.Errorf("it is %q, problems %v", get(a, quayFile), r.Problems)
		}
	}
	if n := strings.Count(log.String(), "left to somebody else"); n != 1 {
		t.Errorf("it is logged %d times:\n%s", n, log)
	}
	other := "/etc/containerd/certs.d/ghcr.io/hosts.toml"
	put(t, a, other, "")
	if pass(t, a); !strings.Contains(get(a, other), "m.example.com") {
		t.Error("another registry is not kept as it should be")
	}
	*now += 10 * time.Minute
	if pass(t, a); get(a, quayFile) != ours {
		t.Error("it is not tried again after ten minutes")
	}
	put(t, a, quayFile, spegel)
	if pass(t, a); get(a, quayFile) != spegel {
		t.Error("after the further try it is fought again")
	}
	write(t, file, document(strings.Replace(quay, "m.example", "m2.example", 1)))
	if pass(t, a); !strings.Contains(get(a, quayFile), "m2.example.com") {
		t.Error("a changed entry is not tried at once")
	}
}

func TestAFolderThatSpegelKeepsEmptyingIsLeftToIt(t *testing.T) {
	a, _ := pretended(t, document(quay))
	clock(a)
	put(t, a, "/etc/containerd/certs.d/_backup/old/hosts.toml", "")
	pass(t, a)
	remove := func() {
		if err := os.RemoveAll(at(a, "/etc/containerd/certs.d/quay.io")); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		remove()
		if pass(t, a); get(a, quayFile) == "" {
			t.Fatal("it is not put back")
		}
	}
	remove()
	if r := pass(t, a); get(a, quayFile) != "" || !strings.Contains(problemOf(r, runtimes.ForeignOwner), "by Spegel") {
		t.Errorf("it is %q, problems %v", get(a, quayFile), r.Problems)
	}
}

func TestLeavingDuringATruceLeavesTheOthersBytes(t *testing.T) {
	a, _ := pretended(t, document(quay))
	clock(a)
	put(t, a, "/etc/containerd/certs.d/ghcr.io/hosts.toml", "# mine\n")
	for range 7 {
		pass(t, a)
		put(t, a, quayFile, spegel)
	}
	if _, err := a.Leave(context.Background()); err != nil || get(a, quayFile) != spegel {
		t.Errorf("%v: it is %q", err, get(a, quayFile))
	}
}

func TestAFightCostsABoundedNumberOfWrites(t *testing.T) {
	a, _ := pretended(t, document(quay))
	now, _ := clock(a)
	writes := 0
	for minute := range 8 * 60 {
		*now = time.Duration(minute) * time.Minute
		put(t, a, quayFile, spegel)
		if pass(t, a).Applied {
			writes++
		}
	}
	if writes > 12 {
		t.Errorf("eight hours of fighting cost %d writes", writes)
	}
}

func TestProblemsOfAFightAreOfTheRegistry(t *testing.T) {
	a, _ := pretended(t, document(quay))
	clock(a)
	for range 7 {
		pass(t, a)
		put(t, a, quayFile, "# somebody's\n")
	}
	r := pass(t, a)
	i := slices.IndexFunc(r.Problems, func(p runtimes.Problem) bool { return p.Reason == runtimes.ForeignOwner })
	if i < 0 || r.Problems[i].Registry != "quay.io" || r.Problems[i].From != quayFile || !strings.Contains(r.Problems[i].Message, "another program") {
		t.Errorf("problems %+v", r.Problems)
	}
}

func TestExplainSaysWhoHasOverwrittenAFile(t *testing.T) {
	a, _ := pretended(t, document(quay))
	pass(t, a)
	ref, err := runtimes.ParseRef("quay.io/a/b")
	must(t, err)
	for content, want := range map[string]string{get(a, quayFile): ", from MirrorConfig/cluster", spegel: ", overwritten by Spegel", "server = \"https://quay.io\"\n": ", overwritten by somebody"} {
		put(t, a, quayFile, content)
		e, err := a.Explain(context.Background(), ref)
		if err != nil || !strings.Contains(e[0].Endpoints[0].From, want) {
			t.Errorf("%v: %+v does not say %q", err, e[0].Endpoints, want)
		}
	}
}

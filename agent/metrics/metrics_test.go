package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// clock is an uptime that a test moves.
type clock struct{ time.Duration }

func (c *clock) uptime() time.Duration { return c.Duration }

func get(t *testing.T, m *Metrics, path string) (status int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

// ours are the lines of /metrics about mirrorlet.
func ours(t *testing.T, m *Metrics) string {
	t.Helper()
	status, body := get(t, m, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("/metrics: %d %s", status, body)
	}
	var b strings.Builder
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "mirrorlet_") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func wants(t *testing.T, m *Metrics, lines ...string) {
	t.Helper()
	text := "\n" + ours(t, m)
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("%s is missing in:%s", line, text)
		}
	}
}

var ended = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestAPassIsCountedInEveryRespect(t *testing.T) {
	m := New("v0.4.0", (&clock{}).uptime)
	m.Pass(Pass{
		Ended: ended, Duration: 7 * time.Millisecond, Changes: 3, Repaired: 1,
		Problems: []string{"Conflict", "Conflict", "PathPrefix"}, State: "Applied", Obeyed: "True",
	})
	wants(t, m,
		`mirrorlet_passes_total{result="success"} 1`, `mirrorlet_passes_total{result="failure"} 0`, `mirrorlet_pass_success 1`,
		`mirrorlet_pass_duration_seconds_bucket{le="0.005"} 0`, `mirrorlet_pass_duration_seconds_bucket{le="0.01"} 1`,
		`mirrorlet_pass_last_success_timestamp_seconds 1.7776368e+09`,
		`mirrorlet_changes_total 3`, `mirrorlet_drift_repaired_total 1`,
		`mirrorlet_problems{reason="Conflict"} 2`, `mirrorlet_problems{reason="PathPrefix"} 1`,
		`mirrorlet_state{state="Applied"} 1`, `mirrorlet_state{state="Pending"} 0`, `mirrorlet_obeyed 1`)
}

func TestALaterPassTakesThePlaceOfTheOneBefore(t *testing.T) {
	m := New("v0.4.0", (&clock{}).uptime)
	m.Pass(Pass{Ended: ended, Problems: []string{"Conflict"}, State: "Applied", Obeyed: "True"})
	m.Pass(Pass{Ended: ended.Add(time.Hour), Failed: true, State: "Refused", Obeyed: "False"})
	wants(t, m,
		`mirrorlet_passes_total{result="success"} 1`, `mirrorlet_passes_total{result="failure"} 1`, `mirrorlet_pass_success 0`,
		`mirrorlet_pass_last_success_timestamp_seconds 1.7776368e+09`, // of the first
		`mirrorlet_state{state="Applied"} 0`, `mirrorlet_state{state="Refused"} 1`, `mirrorlet_obeyed 0`)
	if text := ours(t, m); strings.Contains(text, "mirrorlet_problems{") {
		t.Errorf("a problem that is over is still shown:\n%s", text)
	}
}

func TestTheDaysOfCertificatesAreCountedDownByEachPass(t *testing.T) {
	m := New("v0.4.0", (&clock{}).uptime)
	m.Pass(Pass{Ended: ended, Expiry: &Expiry{CA: ended.Add(36 * time.Hour), Client: ended.Add(-24 * time.Hour)}})
	wants(t, m, `mirrorlet_certificate_expiry_days{kind="ca"} 1.5`, `mirrorlet_certificate_expiry_days{kind="client"} -1`)
	m.Pass(Pass{Ended: ended.Add(24 * time.Hour), State: "Paused"}) // which does not look
	wants(t, m, `mirrorlet_certificate_expiry_days{kind="ca"} 0.5`, `mirrorlet_certificate_expiry_days{kind="client"} -2`)
	m.Pass(Pass{Ended: ended, Expiry: &Expiry{}})
	if text := ours(t, m); strings.Contains(text, "mirrorlet_certificate_expiry_days") {
		t.Errorf("certificates that are not used any more are still counted:\n%s", text)
	}
}

func TestBeforeTheFirstPassNothingIsClaimed(t *testing.T) {
	m := New("v0.4.0", (&clock{}).uptime)
	wants(t, m, `mirrorlet_pass_success 0`, `mirrorlet_pass_last_success_timestamp_seconds 0`, `mirrorlet_obeyed -1`,
		`mirrorlet_proofs_total{obeyed="True"} 0`)
	text := ours(t, m)
	if strings.Contains(text, "mirrorlet_api_") {
		t.Errorf("a machine without a cluster is said to have lost its API server:\n%s", text)
	}
	if regexp.MustCompile(`mirrorlet_state{.*} 1`).MatchString(text) {
		t.Errorf("a state is claimed:\n%s", text)
	}
}

func TestProofsAreCountedByTheirAnswer(t *testing.T) {
	m := New("v0.4.0", (&clock{}).uptime)
	m.Proof("True", 20*time.Millisecond)
	m.Proof("False", time.Second)
	m.Proof("whatever else", time.Second)
	wants(t, m, `mirrorlet_proofs_total{obeyed="True"} 1`, `mirrorlet_proofs_total{obeyed="False"} 1`,
		`mirrorlet_proofs_total{obeyed="Unknown"} 1`, `mirrorlet_proof_duration_seconds_count 3`,
		`mirrorlet_proof_duration_seconds_bucket{le="0.025"} 1`)
}

func TestOnlyAnAnswerAfterASilenceIsAReconnect(t *testing.T) {
	m := New("v0.4.0", (&clock{}).uptime)
	for _, yes := range []bool{false, true, true, false, false} {
		m.Connected(yes)
	}
	wants(t, m, `mirrorlet_api_connected 0`, `mirrorlet_api_reconnects_total 1`)
	m.Connected(true)
	wants(t, m, `mirrorlet_api_connected 1`, `mirrorlet_api_reconnects_total 2`)
}

func TestNoCallerCanMakeLabelsWithoutEnd(t *testing.T) {
	m := New("v0.4.0", (&clock{}).uptime)
	var many []string
	for i := range 1000 {
		many = append(many, "Reason"+strings.Repeat("x", i%500), fmt.Sprintf("registry-%d.example.com", i), "")
	}
	m.Pass(Pass{Problems: many, State: "s3cr3t-canary", Obeyed: "s3cr3t-canary"})
	m.Proof("s3cr3t-canary", time.Second)
	text := ours(t, m)
	if n := strings.Count(text, "mirrorlet_problems{"); n > reasons+1 {
		t.Errorf("%d reasons are served", n)
	}
	for _, forbidden := range []string{"s3cr3t-canary", "example.com", `reason=""`} {
		if strings.Contains(text, forbidden) {
			t.Errorf("%s is served", forbidden)
		}
	}
	if n := strings.Count(text, "\n"); n > 150 {
		t.Errorf("%d lines are served", n)
	}
}

func TestTheProcessIsThisOne(t *testing.T) {
	got, err := pid()
	if err != nil || got != os.Getpid() {
		t.Errorf("got %d, %v; this process is %d", got, err, os.Getpid())
	}
	if _, text := get(t, New("v0.4.0", (&clock{}).uptime), "/metrics"); !strings.Contains(text, "process_resident_memory_bytes") {
		t.Error("the memory of the process is not served")
	}
}

// row is a line of the table of the page: name, type, labels, meaning.
var row = regexp.MustCompile("(?m)^\\| `(mirrorlet_[a-z_]+)` \\| ([a-z]+) \\| (.*?) \\| (.+) \\|$")

func TestThePageSaysOfEachMetricWhatItIs(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		said[m[1]] = m[2] + ", " + strings.ReplaceAll(m[3], "`", "")
	}
	m := New("v0.4.0", (&clock{}).uptime)
	m.Pass(Pass{Problems: []string{"Conflict"}, State: "Applied", Expiry: &Expiry{CA: ended}})
	m.Connected(true)
	families, err := m.gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "mirrorlet_") {
			continue
		}
		if is := describe(f); said[f.GetName()] != is {
			t.Errorf("%s is %q; the page says %q", f.GetName(), is, said[f.GetName()])
		}
		delete(said, f.GetName())
	}
	for name := range said {
		t.Errorf("the page has %s, which is not served", name)
	}
}

// describe is a metric in the words of the page.
func describe(f *dto.MetricFamily) string {
	var labels []string
	for _, l := range f.GetMetric()[0].GetLabel() {
		labels = append(labels, l.GetName())
	}
	return strings.ToLower(f.GetType().String()) + ", " + strings.Join(labels, ", ")
}

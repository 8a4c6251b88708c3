package metrics

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestALoopIsHealthyWhileItMakesPasses(t *testing.T) {
	c := &clock{time.Hour}
	m := New("v0.4.0", c.uptime)
	step := func(wait time.Duration, status int, says string) {
		t.Helper()
		c.Duration += wait
		if got, body := get(t, m, "/healthz"); got != status || !strings.Contains(body, says) {
			t.Errorf("after another %s: %d %q, want %d and %q", wait, got, body, status, says)
		}
	}
	step(4*time.Minute, 200, "ok")
	step(2*time.Minute, 503, "no pass for 6m0s")
	m.Pass(Pass{Failed: true})
	step(5*time.Minute, 200, "ok")
	m.Waits("the lock of the host")
	step(24*time.Hour, 200, "waiting for 24h0m0s, for the lock of the host")
	m.Waits("")
	step(5*time.Minute, 200, "ok")
	step(time.Second, 503, "the loop hangs")
}

func TestANodeIsReadyOnceAPassCameToAnEnd(t *testing.T) {
	m := New("v0.4.0", (&clock{}).uptime)
	if status, _ := get(t, m, "/readyz"); status != 503 {
		t.Errorf("ready before any pass: %d", status)
	}
	m.Waits("documents")
	if status, body := get(t, m, "/readyz"); status != 503 || !strings.Contains(body, "waits for documents") {
		t.Errorf("ready while it waits: %d %s", status, body)
	}
	m.Pass(Pass{Failed: true})
	if status, body := get(t, m, "/readyz"); status != 200 {
		t.Errorf("not ready after a pass: %d %s", status, body)
	}
	reported := false
	m.Ready(func() bool { return reported })
	if status, body := get(t, m, "/readyz"); status != 503 || !strings.Contains(body, "report") {
		t.Errorf("ready before the first report: %d %s", status, body)
	}
	reported = true
	m.Waits("the lock of the host")
	if status, body := get(t, m, "/readyz"); status != 200 {
		t.Errorf("not ready any more: %d %s", status, body)
	}
}

func TestNothingElseIsServed(t *testing.T) {
	m := New("v0.4.0", (&clock{}).uptime)
	for _, path := range []string{"/", "/debug/pprof/", "/debug/pprof/heap", "/debug/vars", "/metrics/", "/healthz/x"} {
		if status, _ := get(t, m, path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/healthz", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestServesUntilTheContextEnds(t *testing.T) {
	m := New("v0.4.0", (&clock{}).uptime)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.serve(ctx, l) }()
	r, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "ok\n" {
		t.Errorf("%q, %v", body, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("an end that was asked for is an error: %v", err)
	}
}

func TestAnAddressThatIsTakenIsSaidWithARemedy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	err = New("v0.4.0", (&clock{}).uptime).Serve(t.Context(), l.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("got %v", err)
	}
}

package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// patience is how long a loop that makes a pass every minute may be silent before it is taken for hung.
const patience = 5 * time.Minute

// pulse is the last sign of life of the loop.
type pulse struct {
	last    time.Duration // by the uptime
	passed  bool          // a pass has come to an end
	waiting string        // for what the loop waits, where it may wait without end
}

// Waits says that the loop waits for something that may take any time, such as the lock that another mirrorlet holds: until the next
// Pass, or another Waits, it is healthy however long that takes. "" ends the wait without a pass.
func (m *Metrics) Waits(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pulse.last, m.pulse.waiting = m.uptime(), what
}

// Ready has /readyz wait until the first report is written, as reported says, which is asked from several goroutines. It is to be called
// before Serve.
func (m *Metrics) Ready(reported func() bool) { m.reported = reported }

// Handler serves /metrics, /healthz and /readyz, to GET and HEAD, and nothing else; profiles least of all.
//
// /healthz answers 200 while the loop has made a pass, or has begun to wait for what it may wait for, within 5 minutes, else 503: the
// process hangs and a restart may help. /readyz answers 200 from the end of the first pass on, whatever came of it, and in a cluster once
// that has been reported.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.GathererFunc(m.gather), promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: 5 * time.Second,
	}))
	mux.HandleFunc("GET /healthz", answer(m.health))
	mux.HandleFunc("GET /readyz", answer(m.ready))
	return mux
}

// Serve serves Handler at the address, such as "127.0.0.1:9353", until the context ends. It returns an error only if it cannot listen
// there, or no longer.
func (m *Metrics) Serve(ctx context.Context, address string) error {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serve metrics at %s, choose another address with --listen: %w", address, err)
	}
	return m.serve(ctx, l)
}

// serve bounds what any caller can hold on to: nothing larger than a scrape's request is read, and no connection stays for long.
func (m *Metrics) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: m.Handler(), MaxHeaderBytes: 16 << 10,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // a scrape that is cut short is made again
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics at %s: %w", l.Addr(), err)
	}
	return nil
}

// gather collects all series at one moment between passes.
func (m *Metrics) gather() ([]*dto.MetricFamily, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.registry.Gather()
}

func (m *Metrics) health() (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	silent := (m.uptime() - m.pulse.last).Round(time.Second)
	switch {
	case m.pulse.waiting != "":
		return fmt.Sprintf("ok: has been waiting for %s, for %s", silent, m.pulse.waiting), nil
	case silent > patience:
		return "", fmt.Errorf("no pass for %s: the loop hangs", silent)
	default:
		return "ok", nil
	}
}

func (m *Metrics) ready() (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.pulse.passed && m.reported != nil && !m.reported():
		return "", errors.New("the first report has not been written yet; the log says why, if it takes long")
	case m.pulse.passed:
		return "ok", nil
	case m.pulse.waiting != "":
		return "", fmt.Errorf("no pass has been made yet: waits for %s", m.pulse.waiting)
	default:
		return "", errors.New("no pass has been made yet")
	}
}

func answer(check func() (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		text, err := check()
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, text)
	}
}

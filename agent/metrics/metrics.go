// Package metrics counts passes and serves them: /metrics for Prometheus, /healthz and /readyz for the kubelet. It knows neither the
// agent nor the cluster: whoever makes a pass says what came of it, in plain words and numbers. What is served is the same few series
// on every node, however many registries there are, and holds no name of a registry, a mirror or a secret. docs/reference/metrics.md
// has a line for each of them.
package metrics

import (
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

// states are the values of the label "state", in the order of the page.
var states = []v1alpha1.NodeState{
	v1alpha1.NodeNotEnrolled, v1alpha1.NodePending, v1alpha1.NodeApplied, v1alpha1.NodePendingRestart,
	v1alpha1.NodeRolledBack, v1alpha1.NodeRefused, v1alpha1.NodeUnsupported, v1alpha1.NodePaused,
}

// Metrics counts. Make one with New. All methods may be called at any time and from any goroutine.
type Metrics struct {
	uptime   func() time.Duration
	reported func() bool // nil where nobody reports
	registry *prometheus.Registry

	passes       *prometheus.CounterVec
	success      prometheus.Gauge
	duration     prometheus.Histogram
	lastSuccess  prometheus.Gauge
	changes      prometheus.Counter
	repaired     prometheus.Counter
	problems     *prometheus.GaugeVec
	state        *prometheus.GaugeVec
	obeyed       prometheus.Gauge
	expiry       *prometheus.GaugeVec
	proofs       *prometheus.CounterVec
	proofSeconds prometheus.Histogram
	connected    prometheus.Gauge
	reconnects   prometheus.Counter

	mu    sync.Mutex // of what follows, and so that nobody is served half a pass
	pulse pulse
	ends  Expiry
	api   struct{ registered, connected bool }
}

// Pass is what one pass came to.
type Pass struct {
	// Failed says that the pass ended with an error.
	Failed bool
	// Ended is when, by the time of day.
	Ended time.Time
	// Duration is how long it took.
	Duration time.Duration
	// Changes is the number of files that it wrote, put back or removed.
	Changes int
	// Repaired is the number of those that were ours and had been changed by somebody.
	Repaired int
	// Problems has the reason of each problem, such as "Conflict".
	Problems []string
	// State is where the node stands now, one of api/v1alpha1's NodeState.
	State string
	// Expiry says when certificates end; nil where the pass did not find out, so that what the one before said holds.
	Expiry *Expiry
	// Obeyed says whether the runtime reads what is written: "True", "False", or "Unknown" for anything else.
	Obeyed string
}

// Expiry says when the first of the certificates that are used ends, of each kind; the zero Time: there is none.
type Expiry struct{ CA, Client time.Time }

// New makes a Metrics that has counted nothing. The version is that of the program; uptime is a clock that nobody can set, such as
// host.Uptime, by which a loop that hangs is found out.
func New(version string, uptime func() time.Duration) *Metrics {
	m := &Metrics{uptime: uptime, registry: prometheus.NewRegistry(), pulse: pulse{last: uptime()}}
	m.describePasses()
	m.describeProofs()
	m.describeAPI()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mirrorlet_build_info", Help: "1; the labels say which program this is.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	info.Set(1)
	m.registry.MustRegister(info, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{PidFn: pid}))
	return m
}

func (m *Metrics) describePasses() {
	m.passes = counters("mirrorlet_passes_total", "Passes that came to an end, by result.", "result")
	m.success = gauge("mirrorlet_pass_success", "1 if the last pass ended without an error, else 0.")
	m.duration = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "mirrorlet_pass_duration_seconds", Help: "How long passes took.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	})
	m.lastSuccess = gauge("mirrorlet_pass_last_success_timestamp_seconds", "When the last pass without an error ended, in seconds since 1970.")
	m.changes = counter("mirrorlet_changes_total", "Files written, put back or removed.")
	m.repaired = counter("mirrorlet_drift_repaired_total", "Files of mirrorlet that somebody had changed and that were put right.")
	m.problems = gauges("mirrorlet_problems", "Problems found by the last pass, by reason; a reason without any is left out.", "reason")
	m.state = gauges("mirrorlet_state", "1 for the state in which the node is, 0 for all others.", "state")
	m.obeyed = gauge("mirrorlet_obeyed", "1 if the runtime is proven to read what is written, 0 if it is known not to, -1 if unknown.")
	m.obeyed.Set(-1)
	m.expiry = gauges("mirrorlet_certificate_expiry_days", "Days until the first certificate in use ends, by kind; a kind that is not used is left out.", "kind")
	for _, s := range states {
		m.state.WithLabelValues(string(s)).Set(0)
	}
	for _, result := range []string{"success", "failure"} {
		m.passes.WithLabelValues(result)
	}
	m.registry.MustRegister(m.passes, m.success, m.duration, m.lastSuccess, m.changes, m.repaired, m.problems, m.state, m.obeyed, m.expiry)
}

func (m *Metrics) describeProofs() {
	m.proofs = counters("mirrorlet_proofs_total", "Times the runtime was asked for a proof that it reads what is written, by the answer.", "obeyed")
	m.proofSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "mirrorlet_proof_duration_seconds", Help: "How long the runtime took over a proof.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
	})
	for _, answer := range []string{"True", "False", "Unknown"} {
		m.proofs.WithLabelValues(answer)
	}
	m.registry.MustRegister(m.proofs, m.proofSeconds)
}

// describeAPI describes what is registered only where there is an API server: on a machine without one, "not connected" would be a
// false alarm.
func (m *Metrics) describeAPI() {
	m.connected = gauge("mirrorlet_api_connected", "1 while the API server answers, else 0; left out on a machine without a cluster.")
	m.reconnects = counter("mirrorlet_api_reconnects_total", "Times the API server answered again after it had not.")
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

package metrics

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// reasons bounds the label "reason", whoever passes what: so many different ones in a pass, the rest counts as other.
const (
	reasons = 50
	other   = "Other"
)

// Pass counts a pass that has come to an end, also one that found nothing to do.
func (m *Metrics) Pass(p Pass) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pulse = pulse{last: m.uptime(), passed: true}
	result := "success"
	if p.Failed {
		result = "failure"
		m.success.Set(0)
	} else {
		m.success.Set(1)
		m.lastSuccess.Set(float64(p.Ended.UnixMilli()) / 1000)
	}
	m.passes.WithLabelValues(result).Inc()
	m.duration.Observe(p.Duration.Seconds())
	m.changes.Add(float64(max(p.Changes, 0)))
	m.repaired.Add(float64(max(p.Repaired, 0)))
	m.obeyed.Set(obeyed(p.Obeyed))
	for _, s := range states {
		m.state.WithLabelValues(string(s)).Set(one(p.State == string(s)))
	}
	m.problems.Reset()
	for reason, n := range tally(p.Problems) {
		m.problems.WithLabelValues(reason).Set(n)
	}
	if p.Expiry != nil {
		m.ends = *p.Expiry
	}
	m.expire("ca", m.ends.CA, p.Ended)
	m.expire("client", m.ends.Client, p.Ended)
}

// expire says how many days are left until certificates of a kind end, as fractions too; fewer than none since they have.
func (m *Metrics) expire(kind string, at, now time.Time) {
	if at.IsZero() {
		m.expiry.DeleteLabelValues(kind)
		return
	}
	m.expiry.WithLabelValues(kind).Set(at.Sub(now).Hours() / 24)
}

// Proof counts a question to the runtime, whether it reads what is written: its answer, "True", "False" or anything else for unknown,
// and how long the runtime took.
func (m *Metrics) Proof(answer string, took time.Duration) {
	if answer != "True" && answer != "False" {
		answer = "Unknown"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.proofs.WithLabelValues(answer).Inc()
	m.proofSeconds.Observe(took.Seconds())
}

// Connected says that the API server answers, or no longer does. Saying the same again changes nothing.
func (m *Metrics) Connected(yes bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.api.registered {
		m.registry.MustRegister(m.connected, m.reconnects)
	} else if yes && !m.api.connected {
		m.reconnects.Inc()
	}
	m.api.registered, m.api.connected = true, yes
	m.connected.Set(one(yes))
}

// tally counts reasons. What does not look like one, and what is too many, counts as other.
func tally(problems []string) map[string]float64 {
	n := map[string]float64{}
	for _, reason := range problems {
		if _, known := n[reason]; !known && (len(n) >= reasons || !word(reason)) {
			reason = other
		}
		n[reason]++
	}
	return n
}

// word says whether a text is a word in CamelCase, such as a reason is.
func word(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func obeyed(status string) float64 {
	switch status {
	case "True":
		return 1
	case "False":
		return 0
	default:
		return -1
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// pid is our number in the /proc that we see. After a chroot into the host that is the host's, where os.Getpid, which knows the
// number within our own PID namespace, would name another process.
func pid() (int, error) {
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return 0, fmt.Errorf("which process this is: %w", err)
	}
	return strconv.Atoi(self)
}

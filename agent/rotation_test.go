package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker/config"

	"github.com/mirrorlet/mirrorlet/agent/metrics"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/containerd"
)

// pair is a certificate that vouches for itself from now for a time, and its key, in PEM.
func pair(t *testing.T, name string, from, until time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	encode := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", secret)
}

// secrets are a CA and a client's pair, of one generation, as documents.
func secrets(t *testing.T, generation int) string {
	t.Helper()
	now := time.Now()
	ca, _ := pair(t, fmt.Sprintf("authority %d", generation), now.Add(-time.Hour), now.Add(time.Hour*1000))
	cert, key := pair(t, fmt.Sprintf("client %d", generation), now.Add(-time.Hour), now.Add(time.Hour*1000))
	const object = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: %s}\nstringData: {%s: %q, tls.key: %q}\n"
	return fmt.Sprintf(object, "ca", "ca.crt", ca, "") + fmt.Sprintf(object, "pair", "tls.crt", cert, key)
}

const terms = "ca: {secretRef: {name: ca}}, clientCert: {secretRef: {name: pair}}"

// running has a containerd run on the agent's host, as far as its /proc goes.
func running(t *testing.T, a *Agent) {
	t.Helper()
	put(t, a, "/proc/7/cmdline", "/usr/bin/containerd\x00")
	put(t, a, "/proc/7/stat", "7 (containerd) S"+strings.Repeat(" 1", 40))
	must(t, os.Symlink("/usr/bin/containerd", at(a, "/proc/7/exe")))
	a.Runtimes = []runtimes.Runtime{containerd.Runtime{}}
}

// pulling reads what a pull reads, with containerd's own reader, in several loops until the function that it returns is called, which
// says how often it failed, and of how many.
func pulling(t *testing.T, a *Agent) (stop func() (failed, all int64)) {
	t.Helper()
	read := config.ConfigureHosts(t.Context(), config.HostOptions{HostDir: config.HostDirFromRoot(at(a, "/etc/containerd/certs.d"))})
	var loops sync.WaitGroup
	var over atomic.Bool
	var failed, all atomic.Int64
	var why sync.Once
	for range 8 {
		loops.Go(func() {
			for !over.Load() {
				all.Add(1)
				if _, err := read("quay.io"); err != nil {
					failed.Add(1)
					why.Do(func() { t.Log(err) })
				}
			}
		})
	}
	return func() (int64, int64) {
		over.Store(true)
		loops.Wait()
		return failed.Load(), all.Load()
	}
}

// What a registry is verified by is exchanged while pulls read it, in each of the forms that the files can take.
func TestNoPullMeetsACertificateThatIsGone(t *testing.T) {
	mirror := string(document("  - {prefix: quay.io, mirrors: [{location: https://m.example.com, " + terms + "}]}\n"))
	pair := string(document("  - {prefix: quay.io, upstream: {" + terms + "}}\n"))
	ca := string(document("  - {prefix: quay.io, upstream: {ca: {secretRef: {name: ca}}}}\n"))
	for name, turns := range map[string][]string{
		"of a mirror":                            {mirror},
		"of the registry itself, with a pair":    {pair},
		"of the registry itself, as a CA alone":  {ca},
		"of a registry whose mirror comes, goes": {mirror, ca},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, file := pretended(t, []byte(turns[0]+secrets(t, 0)))
			running(t, a)
			pass(t, a)
			stop := pulling(t, a)
			for i := range rotations {
				write(t, file, []byte(turns[(i+1)%len(turns)]+secrets(t, i+1)))
				if r := pass(t, a); !r.Applied {
					t.Errorf("rotation %d changed nothing", i)
				}
			}
			failed, all := stop()
			t.Logf("%d of %d pulls have failed", failed, all)
			if failed > 0 {
				t.Fail()
			}
		})
	}
}

const rotations = 4

// Nothing but the time of day changes. What is said of a certificate changes twice in its life, and the host never.
func TestACertificateThatNearsItsEndIsSaidOnceAndThenThatItHasEnded(t *testing.T) {
	began := time.Now()
	ca, _ := pair(t, "authority", began.Add(-time.Hour), began.Add(20*24*time.Hour))
	a, _ := pretended(t, fmt.Appendf(nil, "%s      pem: %q\n", document("  - prefix: quay.io\n    upstream:\n     ca:\n"), ca))
	now := began
	a.Now, a.Metrics = func() time.Time { return now }, metrics.New("v1", func() time.Duration { return 0 })
	var said []string
	for day := range 40 {
		now = began.Add(time.Duration(day) * 24 * time.Hour)
		r := pass(t, a)
		a.count(0)
		if r.State != Applied || r.Applied != (day == 0) {
			t.Errorf("day %d: %s, applied %v", day, r.State, r.Applied)
		}
		if text := fmt.Sprint(r.Problems); len(said) == 0 || said[len(said)-1] != text {
			said = append(said, text)
		}
		served := httptest.NewRecorder()
		a.Metrics.Handler().ServeHTTP(served, httptest.NewRequest("GET", "/metrics", nil))
		if left := fmt.Sprintf(`mirrorlet_certificate_expiry_days{kind="ca"} %d`, 19-day); !strings.Contains(served.Body.String(), left) && day < 19 {
			t.Errorf("day %d: %s is not served", day, left)
		}
	}
	if len(said) != 3 || !strings.Contains(said[1], "ends on") || !strings.Contains(said[2], "has ended on") {
		t.Errorf("it is said: %s", strings.Join(said, "\n"))
	}
	now = began
	if r := pass(t, a); len(r.Problems) > 0 {
		t.Errorf("after the clock was put right: %v", r.Problems)
	}
}

package lab_test

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

func registry(t *testing.T, l *lab.Lab, c lab.RegistryConfig) *lab.Registry {
	t.Helper()
	r, err := l.Registry(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func push(t *testing.T, r *lab.Registry, image string) string {
	t.Helper()
	digest, err := r.Push(image)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestARegistryOfEachKindTakesAnImageAndGivesTheSameBack(t *testing.T) {
	l := lab.Start(t)
	for name, config := range map[string]lab.RegistryConfig{
		"TLS by the lab's CA":             {},
		"plain HTTP":                      {Plain: true},
		"basic auth":                      {User: "robot", Password: "secret"},
		"a client certificate":            {ClientCert: true},
		"content on disk":                 {Folder: t.TempDir()},
		"an address of the test's choice": {Address: "172.18.0.20:443"},
		"IPv6":                            {Address: "[fd00::20]:5000"},
	} {
		t.Run(name, func(t *testing.T) {
			r := registry(t, l, config)
			pushed := push(t, r, "library/app:1")
			other := registry(t, l, lab.RegistryConfig{})
			copied, err := other.Copy("elsewhere:2", r, "library/app@"+pushed)
			if err != nil || copied != pushed {
				t.Errorf("pushed %s, copied %s, %v", pushed, copied, err)
			}
		})
	}
}

func TestNoTwoImagesAreAlike(t *testing.T) {
	l := lab.Start(t)
	r := registry(t, l, lab.RegistryConfig{})
	if a, b := push(t, r, "a:1"), push(t, r, "a:2"); a == b {
		t.Errorf("both are %s", a)
	}
}

func TestACopyOfAMultiPlatformImageKeepsItsDigest(t *testing.T) {
	l := lab.Start(t)
	from, to := registry(t, l, lab.RegistryConfig{}), registry(t, l, lab.RegistryConfig{Plain: true})
	index, err := lab.NewIndex(64)
	if err != nil {
		t.Fatal(err)
	}
	want, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := from.PushAs("multi:1", index); err != nil {
		t.Fatal(err)
	}
	got, err := to.Copy("multi:1", from, "multi:1")
	if err != nil || got != want.String() {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestARegistryLetsInOnlyWhoItShould(t *testing.T) {
	l := lab.Start(t)
	auth, cert := registry(t, l, lab.RegistryConfig{User: "robot", Password: "secret"}), registry(t, l, lab.RegistryConfig{ClientCert: true})
	trusting := &http.Client{Transport: lab.Trust(l.CA)}
	if answer, err := trusting.Get(auth.URL() + "/v2/"); err != nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a password: %v, %v", answer, err)
	}
	if _, err := trusting.Get(cert.URL() + "/v2/"); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("without a certificate: %v", err)
	}
	if _, err := http.Get(auth.URL() + "/v2/"); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("without the CA: %v", err)
	}
}

func TestAPullThroughCacheFetchesOnceAndServesOnWithoutItsUpstream(t *testing.T) {
	l := lab.Start(t)
	for name, upstream := range map[string]lab.RegistryConfig{
		"an open upstream":            {},
		"an upstream with a password": {User: "robot", Password: "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			up := registry(t, l, upstream)
			cache, copied := registry(t, l, lab.RegistryConfig{Upstream: up}), registry(t, l, lab.RegistryConfig{})
			digest := push(t, up, "library/app:1")
			if _, err := copied.Copy("app:1", cache, "library/app:1"); err != nil {
				t.Fatal(err)
			}
			if len(up.Log.About("library/app")) == 0 {
				t.Error("the upstream was not asked")
			}
			if err := up.Stop(); err != nil {
				t.Fatal(err)
			}
			if got, err := copied.Copy("app:2", cache, "library/app@"+digest); err != nil || got != digest {
				t.Errorf("got %s, %v; want %s", got, err, digest)
			}
		})
	}
}

func TestAStoppedRegistryRefusesAndComesBackWithItsContentAtTheSameAddress(t *testing.T) {
	l := lab.Start(t)
	r := registry(t, l, lab.RegistryConfig{})
	want := push(t, r, "a:1")
	if err := errors.Join(r.Stop(), r.Stop()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Digest("a:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("stopped: %v", err)
	}
	if err := errors.Join(r.Start(), r.Start()); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Digest("a:1"); got != want {
		t.Errorf("started again: got %s, %v; want %s", got, err, want)
	}
}

func TestTheAccessLogTellsWhatWasAsked(t *testing.T) {
	l := lab.Start(t)
	r := registry(t, l, lab.RegistryConfig{User: "robot", Password: "secret"})
	push(t, r, "library/app:1")
	r.Log.Clear()
	request, err := http.NewRequest(http.MethodHead, r.URL()+"/v2/library/app/manifests/1?ns=docker.io", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("robot", "secret")
	request.Header.Set("User-Agent", "a test")
	if _, err := (&http.Client{Transport: lab.Trust(l.CA)}).Do(request); err != nil {
		t.Fatal(err)
	}
	got := r.Log.About("library/app")
	if len(got) != 1 || got[0].Method != "HEAD" || got[0].Path != "/v2/library/app/manifests/1" || got[0].Namespace != "docker.io" ||
		got[0].UserAgent != "a test" || got[0].Status != http.StatusOK || !got[0].Authorization || got[0].ClientCert {
		t.Errorf("got %+v", got)
	}
}

func TestTheMachinesOwnNetworkAndProcessesAreOutOfReach(t *testing.T) {
	l := lab.Start(t)
	registry(t, l, lab.RegistryConfig{})
	links, err := os.ReadFile("/proc/self/net/route")
	if err != nil || strings.Contains(string(links), "\t00000000\t") && !strings.Contains(string(links), "lab") {
		t.Errorf("a default route leads out: %s, %v", links, err)
	}
	if os.Getpid() != 1 {
		t.Errorf("this is process %d of the machine", os.Getpid())
	}
}

func TestARegistryChangesWhatItShowsAndWhomItAdmits(t *testing.T) {
	l := lab.Start(t)
	r := registry(t, l, lab.RegistryConfig{})
	other, err := lab.NewCA("another")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(ca *lab.CA, shown ...lab.Pair) error {
		transport := lab.Trust(ca)
		defer transport.CloseIdleConnections()
		for _, p := range shown {
			cert, err := p.TLS()
			if err != nil {
				t.Fatal(err)
			}
			transport.TLSClientConfig.Certificates = append(transport.TLSClientConfig.Certificates, cert)
		}
		answer, err := (&http.Client{Transport: transport}).Get(r.URL() + "/v2/")
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	if err := ask(l.CA); err != nil {
		t.Errorf("at first: %v", err)
	}
	r.Show(other)
	if err := ask(l.CA); err == nil {
		t.Error("it still shows the certificate of before")
	}
	pair, err := l.CA.Client("node")
	if err != nil {
		t.Fatal(err)
	}
	r.Admit(l.CA)
	if ask(other) == nil || ask(other, pair) != nil {
		t.Error("it does not admit those with a certificate of the authority, or others too")
	}
	if _, err := r.Push("library/app:1"); err != nil {
		t.Errorf("the lab itself is not admitted: %v", err)
	}
}

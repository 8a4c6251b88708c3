package cluster

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// serviceAccount is the folder of one, as the kubelet mounts it: links through ..data, which is swapped at each change.
type serviceAccount struct {
	t      *testing.T
	folder string
	n      int
}

func (s *serviceAccount) write(token string, ca []byte) {
	s.t.Helper()
	s.n++
	data := "..data" + strings.Repeat("x", s.n)
	for _, err := range []error{
		os.MkdirAll(filepath.Join(s.folder, data), 0o755),
		os.WriteFile(filepath.Join(s.folder, data, "token"), []byte(token+"\n"), 0o600),
		os.WriteFile(filepath.Join(s.folder, data, "ca.crt"), ca, 0o600),
		os.Symlink(data, filepath.Join(s.folder, "..tmp")),
		os.Rename(filepath.Join(s.folder, "..tmp"), filepath.Join(s.folder, "..data")),
	} {
		if err != nil {
			s.t.Fatal(err)
		}
	}
	for _, name := range []string{"token", "ca.crt"} {
		_ = os.Symlink("..data/"+name, filepath.Join(s.folder, name)) // the second time it is there
	}
}

// api is an API server on TLS that accepts one token.
func api(t *testing.T, accepts *atomic.Value) (*httptest.Server, []byte) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+accepts.Load().(string) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// inCluster is the environment of a Pod whose API server is at a URL.
func inCluster(url string) func(string) string {
	host, port, _ := strings.Cut(strings.TrimPrefix(url, "https://"), ":")
	return func(key string) string {
		return map[string]string{"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}[key]
	}
}

func TestTheServiceAccountIsReadWhereverItsFolderIs(t *testing.T) {
	var accepts atomic.Value
	accepts.Store("one")
	s, ca := api(t, &accepts)
	mount := &serviceAccount{t: t, folder: filepath.Join(t.TempDir(), "account")}
	mount.write("one", ca)
	config, err := InCluster(mount.folder, inCluster(s.URL))
	if err != nil {
		t.Fatal(err)
	}
	away := mount.folder + "-elsewhere" // as after a chroot: the name leads nowhere, the opened folder is what it was
	if err := os.Rename(mount.folder, away); err != nil {
		t.Fatal(err)
	}
	mount.folder = away
	client, err := newClient(config, "1")
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		_, err := client.do(t.Context(), request{verb: "GET", path: "/api"})
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	mount.write("two", ca)
	accepts.Store("two")
	if err := ask(); !apierrors.IsUnauthorized(err) {
		t.Errorf("an old token: %v", err)
	}
	if err := ask(); err != nil {
		t.Errorf("after it was refused: %v", err)
	}
	other, ca := api(t, &accepts)
	mount.write("three", ca)
	accepts.Store("three")
	account := config.Transport.(*account)
	account.current(time.Now().Add(tokenAge))
	client.base.Host = strings.TrimPrefix(other.URL, "https://")
	if err := ask(); err != nil {
		t.Errorf("another CA and token, a minute later: %v", err)
	}
	if err := os.RemoveAll(filepath.Join(away, "..data")); err != nil {
		t.Fatal(err)
	}
	account.current(time.Now().Add(2 * tokenAge))
	if err := ask(); err != nil {
		t.Errorf("when the files are gone: %v", err)
	}
}

func TestAServiceAccountThatIsNotThereIsSaidSo(t *testing.T) {
	empty := t.TempDir()
	pod := inCluster("https://10.0.0.1:443")
	if err := os.WriteFile(filepath.Join(empty, "token"), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		folder string
		getenv func(string) string
		want   string
	}{
		{empty, func(string) string { return "" }, "--kubeconfig"},
		{filepath.Join(empty, "none"), pod, "automountServiceAccountToken"},
		{empty, pod, "ca.crt"},
	} {
		if _, err := InCluster(c.folder, c.getenv); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func TestTheAddressMayBeIPv6(t *testing.T) {
	var accepts atomic.Value
	accepts.Store("")
	_, ca := api(t, &accepts)
	mount := &serviceAccount{t: t, folder: t.TempDir()}
	mount.write("one", ca)
	config, err := InCluster(mount.folder, func(key string) string {
		return map[string]string{"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}[key]
	})
	if err != nil || config.Host != "https://[fd00::1]:6443" {
		t.Errorf("got %v, %v", config, err)
	}
}

func TestAKubeconfigIsReadAtOnce(t *testing.T) {
	var accepts atomic.Value
	accepts.Store("one")
	s, ca := api(t, &accepts)
	folder := t.TempDir()
	write := func(name, data string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("ca.crt", string(ca))
	write("config", `{"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
		"clusters": [{"name": "k", "cluster": {"server": "`+s.URL+`/proxy/", "certificate-authority": "ca.crt"}}], "users": [{"name": "u", "user": {"token": "one"}}]}`)
	config, err := Kubeconfig(filepath.Join(folder, "config"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(folder, "ca.crt")); err != nil {
		t.Fatal(err)
	}
	client, err := newClient(config, "1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.do(t.Context(), request{verb: "GET", path: "/api"}); err != nil {
		t.Error(err)
	}
	if _, err := Kubeconfig(filepath.Join(folder, "none")); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestTheTokenIsInNoError(t *testing.T) {
	s := newServer()
	s.fail(refusal(http.StatusUnauthorized, "Unauthorized"))
	client, err := newClient(&rest.Config{Host: "https://api.example", BearerToken: "canary", Transport: s}, "1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = client.do(context.Background(), request{verb: "GET", path: "/api"}); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
}

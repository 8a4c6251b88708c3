package cluster

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"
)

// tokenAge is how long a token is used before its file is read again. The kubelet writes a new one when 80 % of its time are over
// (pkg/kubelet/token of Kubernetes), an hour in general: a minute is early enough.
const tokenAge = time.Minute

// How a connection that has gone silent is noticed: after so much silence a ping is sent, which must be answered in so much. Without it a
// connection whose other end has gone without a word stays open for a quarter of an hour (kubernetes/kubernetes#87615). The same as
// client-go's.
const (
	silence    = 30 * time.Second
	pingAnswer = 15 * time.Second
)

// account is a service account as the kubelet mounts it, and the connections of one who uses it. It reads both files through a handle of
// their folder, so that it does not matter where "/" is by then. The token is in no error and in no log.
type account struct {
	folder *os.Root

	mu        sync.Mutex
	read      time.Time // when; zero: not, or the token is not accepted any more
	token     string
	ca        []byte
	transport *http.Transport
}

func openAccount(folder string) (*account, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("open the service account's folder: %w; the Pod needs automountServiceAccountToken", err)
	}
	a := &account{folder: root}
	if err := a.refresh(time.Now()); err != nil {
		_ = root.Close() // nothing was written
		return nil, err
	}
	return a, nil
}

// RoundTrip asks with the token of now. One that is not accepted is read anew before the next request.
func (a *account) RoundTrip(req *http.Request) (*http.Response, error) {
	transport, token := a.current(time.Now())
	req = req.Clone(req.Context()) // a RoundTripper must not change what it is handed
	req.Header.Set("Authorization", "Bearer "+token)
	answer, err := transport.RoundTrip(req)
	if err == nil && answer.StatusCode == http.StatusUnauthorized {
		a.mu.Lock()
		a.read = time.Time{}
		a.mu.Unlock()
	}
	return answer, err
}

// current returns the connections and the token, both read again where it is time. Where they cannot be read the old ones have to do.
func (a *account) current(now time.Time) (*http.Transport, string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if age := now.Sub(a.read); age < 0 || age >= tokenAge {
		_ = a.refresh(now) // the server says so when the old token is of no use any more
	}
	return a.transport, a.token
}

// refresh reads token and CA. Another CA needs other connections.
func (a *account) refresh(now time.Time) error {
	token, err := a.folder.ReadFile("token")
	if err != nil {
		return fmt.Errorf("read the service account's token: %w", err)
	}
	ca, err := a.folder.ReadFile("ca.crt")
	if err != nil {
		return fmt.Errorf("read the API server's CA: %w", err)
	}
	token = bytes.TrimSpace(token)
	if len(token) == 0 {
		return errors.New("the service account's token is empty")
	}
	if !bytes.Equal(ca, a.ca) {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			return errors.New("ca.crt of the service account holds no certificate")
		}
		if a.transport != nil {
			a.transport.CloseIdleConnections()
		}
		a.ca, a.transport = ca, connections(pool)
	}
	a.token, a.read = string(token), now
	return nil
}

// connections are kept open to a server with a certificate of the pool.
func connections(pool *x509.CertPool) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: silence, PingTimeout: pingAnswer}
	return t
}

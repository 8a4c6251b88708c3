package cluster

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// blackHole is a way to an address that swallows everything from a moment on, without a word to either side: a firewall that forgot
// the connection, or a machine that was switched off.
func blackHole(t *testing.T, to string) (address string, swallow func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	var gone atomic.Bool
	pass := func(from, to net.Conn) {
		buffer := make([]byte, 4096)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				_ = to.Close()
				return
			}
			if !gone.Load() {
				_, _ = to.Write(buffer[:n]) // whoever has closed is not interested
			}
		}
	}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				return
			}
			go pass(near, far)
			go pass(far, near)
		}
	}()
	return listener.Addr().String(), func() { gone.Store(true) }
}

func TestAConnectionThatDiedWithoutAWordIsNoticed(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "{}")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	defer s.CloseClientConnections()
	address, swallow := blackHole(t, strings.TrimPrefix(s.URL, "https://"))
	mount := &serviceAccount{t: t, folder: t.TempDir()}
	mount.write("one", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	config, err := InCluster(mount.folder, inCluster("https://"+address))
	if err != nil {
		t.Fatal(err)
	}
	pings := config.Transport.(*account).transport.HTTP2
	if pings.SendPingTimeout+pings.PingTimeout > time.Minute {
		t.Errorf("it takes %s", pings.SendPingTimeout+pings.PingTimeout)
	}
	pings.SendPingTimeout, pings.PingTimeout = 50*time.Millisecond, 50*time.Millisecond // else the test takes as long
	client, err := newClient(config, "1")
	if err != nil {
		t.Fatal(err)
	}
	body, err := client.open(t.Context(), request{verb: "GET", path: "/watch"})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadFull(body, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	swallow()
	ended := make(chan error, 1)
	go func() {
		_, err := body.Read(make([]byte, 1))
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("something was read")
		}
	case <-time.After(30 * time.Second):
		t.Error("it is still taken for alive")
	}
}

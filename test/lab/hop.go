package lab

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// hop stands between a pull-through cache and its upstream. The distribution's cache asks its upstream through Go's default transport
// (v3.1.2 registry/proxy/proxyregistry.go); teaching that the lab's CA would teach it to everything in this process, and tests would
// prove nothing any more. So the cache asks the hop in plain HTTP on the loopback, and the hop knows the CA.
type hop struct {
	listener net.Listener
	server   *http.Server
}

var discard = log.New(io.Discard, "", 0)

func newHop(to *Registry) (*hop, error) {
	target, err := url.Parse(to.URL())
	if err != nil {
		return nil, err
	}
	transport, err := to.transport()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &hop{listener: listener, server: &http.Server{ErrorLog: discard, ReadHeaderTimeout: time.Minute, Handler: &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: transport,
		ErrorLog:  discard,
	}}}
	go h.server.Serve(listener) // it returns when close is called
	return h, nil
}

func (h *hop) url() string { return "http://" + h.listener.Addr().String() }

func (h *hop) close() error { return h.server.Close() }

// transport is for a client that the registry lets in now: it trusts the registry's authority and has a certificate to show.
func (r *Registry) transport() (*http.Transport, error) {
	by, admits := r.identity()
	transport := Trust(by)
	if len(admits) == 0 {
		return transport, nil
	}
	pair, err := admits[0].Client("lab")
	if err != nil {
		return nil, err
	}
	cert, err := pair.TLS()
	if err != nil {
		return nil, err
	}
	transport.TLSClientConfig.Certificates = []tls.Certificate{cert}
	return transport, nil
}

// Trust is for a client that knows the authority and no other.
func Trust(ca *CA) *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}
}

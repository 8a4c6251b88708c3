// Package probe is the only one that dials registries and CRI: it proves that a runtime uses what was written.
//
// The proof: among the files stands one for a registry name that leads to a [Registry] on loopback and nowhere else (runtimes.Proof).
// The runtime is asked over CRI to pull an image of that name. The image exists nowhere; that the runtime's request arrives proves that it
// has loaded these very files. No other sign is needed, and nothing stays behind in the runtime.
package probe

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Registry is a registry on loopback that has nothing, and listens for who asks. Its methods may be called at the same time.
type Registry struct {
	address string
	server  *http.Server
	ended   chan struct{} // closed when it does not listen any more

	mutex   sync.Mutex
	waiting map[string]*question     // by repository; nobody else's request is remembered
	turns   map[string]chan struct{} // by socket: one question at a time
}

// A request is a line and a few headers, from this machine; whoever is slower than this, or says more, is no runtime.
const (
	requestTimeout = 5 * time.Second
	requestSize    = 16 << 10 // bytes
)

// Listen starts a registry at an IP address of loopback with a port, such as 127.0.0.1:5099; port 0 is any free one. Where the port is
// in use it takes a free one instead: Address says which. It serves plain HTTP, which needs no exception in the runtime's proxy settings:
// Go never asks a proxy for a loopback address (useProxy in golang.org/x/net/http/httpproxy/proxy.go, which net/http uses), and every
// runtime is a Go program.
func Listen(address string) (*Registry, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("proof registry: %w; give an address such as 127.0.0.1:0", err)
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("proof registry: %s is no IP address of loopback, and others could ask it; give an address such as 127.0.0.1:0", host)
	}
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		listener, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, fmt.Errorf("proof registry: %w", err)
	}
	r := &Registry{
		address: listener.Addr().String(), ended: make(chan struct{}), waiting: map[string]*question{}, turns: map[string]chan struct{}{},
	}
	r.server = &http.Server{
		Handler: http.HandlerFunc(r.serve), ErrorLog: log.New(io.Discard, "", 0), MaxHeaderBytes: requestSize,
		ReadTimeout: requestTimeout, ReadHeaderTimeout: requestTimeout, WriteTimeout: requestTimeout,
	}
	// A runtime asks twice at most and would keep the connection for a minute and a half.
	r.server.SetKeepAlivesEnabled(false)
	go func() {
		defer close(r.ended)
		r.server.Serve(listener)
	}()
	return r, nil
}

// Address is where it listens, as an IP address and a port.
func (r *Registry) Address() string { return r.address }

// Close stops listening, and returns when the port is free. Questions under way end without a proof. It may be called twice.
func (r *Registry) Close() error {
	err := r.server.Close()
	<-r.ended
	return err
}

// serve answers as a registry does that has nothing: /v2/ is there, and everything in it is not.
func (r *Registry) serve(w http.ResponseWriter, request *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("Content-Type", "application/json")
	rest, inside := strings.CutPrefix(request.URL.Path, "/v2/")
	repository, _, manifest := strings.Cut(rest, "/manifests/")
	if request.URL.Path == "/v2" || inside && rest == "" {
		fmt.Fprint(w, "{}")
		return
	}
	code := "NAME_UNKNOWN"
	if manifest {
		code = "MANIFEST_UNKNOWN"
		r.asked(repository, request)
	}
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"there is nothing here: this is for proofs only"}]}`, code)
}

// asked hands a request to who waits for it. The repository is known to nobody but the runtime that was asked to pull it, and to the
// mirrors that it goes to. containerd names the registry besides, as ?ns= (addNamespace in core/remotes/docker/resolver.go of v2.4.2).
func (r *Registry) asked(repository string, request *http.Request) {
	r.mutex.Lock()
	q := r.waiting[repository]
	r.mutex.Unlock()
	if ns := request.URL.Query().Get("ns"); q == nil || ns != "" && ns != q.registryName {
		return
	}
	select {
	case q.arrived <- arrival{time.Now(), oneLine(request.UserAgent())}:
	default: // it asks again, as containerd does for a mirror that is also the last resort
	}
}

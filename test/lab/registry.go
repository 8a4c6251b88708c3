package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"golang.org/x/crypto/bcrypt"

	// The access controller and the storage drivers that a registry of the lab uses register themselves.
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
)

// RegistryConfig says what kind of registry is wanted. The zero value is one that anybody may use, with TLS by the lab's CA.
type RegistryConfig struct {
	// Address is host:port. Empty: port 5000 of an address of its own. An address of the caller's choice is added to the network.
	Address string
	// Names stand in the certificate beside the address.
	Names []string
	// Plain registries speak HTTP.
	Plain bool
	// User and Password are asked for by basic auth, unless User is empty.
	User, Password string
	// ClientCert demands a certificate that the lab's CA has issued.
	ClientCert bool
	// Upstream makes this a pull-through cache of another registry of the lab.
	Upstream *Registry
	// Folder keeps the content on disk; empty: in memory.
	Folder string
}

// Registry is a real one: the distribution registry, linked.
type Registry struct {
	// Log is what it was asked. It goes on through stops and starts.
	Log     *AccessLog
	config  RegistryConfig
	app     *handlers.App
	scratch string

	mu     sync.Mutex
	server *http.Server // nil: stopped
	shows  *CA          // issues its certificate
	admits []*CA        // of these a client must have a certificate; empty: of nobody
	hop    *hop         // to the upstream, if it has one
}

// Registry makes a registry and starts it. It is stopped when the lab is closed.
func (l *Lab) Registry(c RegistryConfig) (*Registry, error) {
	if err := l.address(&c.Address); err != nil {
		return nil, err
	}
	scratch, err := l.Folder("registry")
	if err != nil {
		return nil, err
	}
	r := &Registry{Log: &AccessLog{}, config: c, shows: l.CA, scratch: scratch}
	if c.ClientCert {
		r.admits = []*CA{l.CA}
	}
	if err := r.link(); err != nil {
		return nil, fmt.Errorf("registry %s: %w", c.Address, err)
	}
	l.atEnd(r.close)
	return r, r.Start()
}

// address fills in an address, or adds the one that is there.
func (l *Lab) address(a *string) error {
	if *a == "" {
		ip, err := l.Network.Address()
		*a = net.JoinHostPort(ip, "5000")
		return err
	}
	host, _, err := net.SplitHostPort(*a)
	if err != nil {
		return err
	}
	return l.Network.Add(host)
}

// Host is host:port.
func (r *Registry) Host() string { return r.config.Address }

// URL is its base: scheme://host:port.
func (r *Registry) URL() string {
	if r.config.Plain {
		return "http://" + r.Host()
	}
	return "https://" + r.Host()
}

// Start serves on the registry's address. It does nothing while that is done already.
func (r *Registry) Start() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server != nil {
		return nil
	}
	listener, err := net.Listen("tcp", r.Host())
	if err != nil {
		return fmt.Errorf("start registry: %w", err)
	}
	if !r.config.Plain {
		listener = tls.NewListener(listener, &tls.Config{GetConfigForClient: r.tls})
	}
	r.server = &http.Server{Handler: r.Log.record(r.app), ErrorLog: discard, ReadHeaderTimeout: time.Minute}
	go r.server.Serve(listener) // it returns when Stop closes the server
	return nil
}

// Stop closes the port and every connection: who asks is refused at once. The content stays. It may be called twice.
func (r *Registry) Stop() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server == nil {
		return nil
	}
	err := r.server.Close()
	r.server = nil
	return err
}

func (r *Registry) close() error {
	err := errors.Join(r.Stop(), r.app.Shutdown())
	if r.hop != nil {
		err = errors.Join(err, r.hop.close())
	}
	return err
}

// link builds the registry out of the distribution's parts.
func (r *Registry) link() error {
	c := &configuration.Configuration{Storage: r.storage()}
	c.HTTP.Secret = "of the lab" // uploads are signed by it; else a line is logged
	if r.config.User != "" {
		file, err := r.htpasswd()
		if err != nil {
			return err
		}
		c.Auth = configuration.Auth{"htpasswd": {"realm": "lab", "path": file}}
	}
	if up := r.config.Upstream; up != nil {
		var err error
		if r.hop, err = newHop(up); err != nil {
			return err
		}
		c.Proxy = configuration.Proxy{RemoteURL: r.hop.url(), Username: up.config.User, Password: up.config.Password}
	}
	r.app = handlers.NewApp(context.Background(), c)
	return nil
}

func (r *Registry) storage() configuration.Storage {
	// No purger: it would wait for up to an hour and then look for uploads that nobody left.
	s := configuration.Storage{"maintenance": {"uploadpurging": map[any]any{"enabled": false}}, "delete": {"enabled": true}}
	if r.config.Folder == "" {
		s["inmemory"] = configuration.Parameters{}
	} else {
		s["filesystem"] = configuration.Parameters{"rootdirectory": r.config.Folder}
	}
	return s
}

func (r *Registry) htpasswd() (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(r.config.Password), bcrypt.MinCost)
	if err != nil {
		return "", err
	}
	file := filepath.Join(r.scratch, "htpasswd")
	return file, os.WriteFile(file, fmt.Appendf(nil, "%s:%s\n", r.config.User, hash), 0o600)
}

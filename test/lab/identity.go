package lab

import (
	"crypto/tls"
	"crypto/x509"
	"net"
)

// Show has the registry show a certificate that another authority has issued, from the next connection on. Those that are open go on.
func (r *Registry) Show(by *CA) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shows = by
}

// Admit has the registry demand of each client a certificate that one of the authorities has issued, from the next connection on; without
// any it demands none.
func (r *Registry) Admit(by ...*CA) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.admits = by
}

// identity is what Show and Admit have said last.
func (r *Registry) identity() (shows *CA, admits []*CA) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shows, r.admits
}

// tls is asked at each connection.
func (r *Registry) tls(*tls.ClientHelloInfo) (*tls.Config, error) {
	shows, admits := r.identity()
	host, _, err := net.SplitHostPort(r.Host())
	if err != nil {
		return nil, err
	}
	pair, err := shows.Server(append([]string{host}, r.config.Names...)...)
	if err != nil {
		return nil, err
	}
	cert, err := pair.TLS()
	if err != nil {
		return nil, err
	}
	settings := &tls.Config{Certificates: []tls.Certificate{cert}}
	if len(admits) > 0 {
		settings.ClientAuth, settings.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		for _, ca := range admits {
			settings.ClientCAs.AddCert(ca.cert)
		}
	}
	return settings, nil
}

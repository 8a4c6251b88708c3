package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/mirrorlet/mirrorlet/test/parts"
)

// APIServerConfig says what kind of API server is wanted.
type APIServerConfig struct {
	// Args are more arguments of kube-apiserver, such as --feature-gates=….
	Args []string
}

// APIServer is a real kube-apiserver with an etcd of its own, with RBAC and Node authorization. It is its own Service: what it listens
// on is the ClusterIP of the Service kubernetes, which the whole lab reaches without a kube-proxy.
type APIServer struct {
	// Folder holds all that it has: the logs etcd.log and kube-apiserver.log, the data, keys and kubeconfig files.
	Folder string
	// URL is where it listens: https, an address, no port.
	URL string
	// CA has signed its certificate, and signs those of its users.
	CA *CA
	// Admin is the kubeconfig file of a user who may do everything.
	Admin string

	etcd, server *Daemon
	service      string // the address of the Service kubernetes
	kubectl      string // the program
	admin        *http.Client
}

// APIServer starts an etcd and an API server and returns when that is ready. Both are stopped when the lab is closed.
func (l *Lab) APIServer(c APIServerConfig) (*APIServer, error) {
	s, err := l.newAPIServer()
	if err != nil {
		return nil, err
	}
	keys, err := s.writeKeys()
	if err != nil {
		return nil, err
	}
	if err := s.daemons(l, append(keys, c.Args...)); err != nil {
		return nil, err
	}
	if s.Admin, err = s.Kubeconfig("admin", "system:masters"); err != nil {
		return nil, err
	}
	if s.admin, err = s.Client("admin", "system:masters"); err != nil {
		return nil, err
	}
	if err := s.etcd.start(); err != nil {
		return nil, err
	}
	return s, s.Start()
}

func (l *Lab) newAPIServer() (*APIServer, error) {
	folder, err := l.Folder("apiserver")
	if err != nil {
		return nil, err
	}
	s := &APIServer{Folder: folder}
	if s.CA, err = NewCA("kubernetes"); err != nil {
		return nil, err
	}
	s.kubectl, err = parts.Path("kubectl")
	return s, err
}

// daemons describes both programs. The API server's arguments end with these.
func (s *APIServer) daemons(l *Lab, args []string) error {
	etcd, err := parts.Path("etcd")
	if err != nil {
		return err
	}
	server, err := parts.Path("kube-apiserver")
	if err != nil {
		return err
	}
	address, err := l.Network.Address() // one of etcd's own: nobody else can have taken its ports
	if err != nil {
		return err
	}
	clients, peers := "http://"+address+":2379", "http://"+address+":2380"
	s.etcd = l.daemon(filepath.Join(s.Folder, "etcd.log"), "", etcd, "--data-dir="+filepath.Join(s.Folder, "etcd"),
		"--listen-client-urls="+clients, "--advertise-client-urls="+clients,
		"--listen-peer-urls="+peers, "--initial-advertise-peer-urls="+peers, "--initial-cluster=default="+peers,
		"--unsafe-no-fsync") // it need not outlive the machine
	services, err := l.Network.serviceRange()
	if err != nil {
		return err
	}
	s.service = services.Addr().Next().String() // the Service kubernetes takes the first address
	s.URL = "https://" + s.service
	if err := l.Network.Add(s.service); err != nil {
		return err
	}
	s.server = l.daemon(filepath.Join(s.Folder, "kube-apiserver.log"), "", append([]string{
		server, "--etcd-servers=" + clients, "--service-cluster-ip-range=" + services.String(),
		"--bind-address=" + s.service, "--secure-port=443", "--advertise-address=" + s.service,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--kubelet-preferred-address-types=InternalIP",
	}, args...)...)
	l.atEnd(s.Stop) // by SIGTERM it would wait for those who watch
	return s.serve()
}

// serve writes the certificate of the server, whose address is known by now.
func (s *APIServer) serve() error {
	pair, err := s.CA.Server(s.service, "kubernetes", "kubernetes.default", "kubernetes.default.svc")
	if err != nil {
		return err
	}
	return s.writePair("server", pair)
}

// writeKeys writes all keys but the server's own and returns the arguments that name them, and that.
func (s *APIServer) writeKeys() (args []string, err error) {
	// Its certificate is one way of writing the public key by which tokens are checked.
	tokens, err := s.CA.Client("service-accounts")
	if err != nil {
		return nil, err
	}
	kubelets, err := s.CA.Client("kube-apiserver", "system:masters") // for kubectl logs and exec
	if err != nil {
		return nil, err
	}
	err = errors.Join(s.writePair("tokens", tokens), s.writePair("kubelets", kubelets), os.WriteFile(s.file("ca.crt"), s.CA.PEM, 0o644))
	return []string{
		"--client-ca-file=" + s.file("ca.crt"), "--tls-cert-file=" + s.file("server.crt"), "--tls-private-key-file=" + s.file("server.key"),
		"--kubelet-client-certificate=" + s.file("kubelets.crt"), "--kubelet-client-key=" + s.file("kubelets.key"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + s.file("tokens.crt"), "--service-account-signing-key-file=" + s.file("tokens.key"),
	}, err
}

func (s *APIServer) file(name string) string { return filepath.Join(s.Folder, name) }

func (s *APIServer) writePair(name string, p Pair) error {
	return errors.Join(os.WriteFile(s.file(name+".crt"), p.Cert, 0o644), os.WriteFile(s.file(name+".key"), p.Key, 0o600))
}

// Start runs the API server again, with the data that it had and at the same address, and returns when it is ready.
func (s *APIServer) Start() error {
	if err := s.server.start(); err != nil {
		return err
	}
	if err := s.ready(); err != nil {
		return errors.Join(fmt.Errorf("kube-apiserver does not get ready: %w; the end of %s:\n%s", err, s.server.Log, s.server.tail()), s.Stop())
	}
	return nil
}

// Stop takes the API server away, at once: whoever is connected finds his connection reset, and a new one refused. Its etcd stays.
func (s *APIServer) Stop() error { return s.server.Kill() }

// ready waits for /readyz, which nothing announces.
func (s *APIServer) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		said := s.readyz(ctx)
		if said == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.server.Exited():
			return errors.New("it has ended")
		case <-ctx.Done():
			return said
		}
	}
}

func (s *APIServer) readyz(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := s.admin.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("/readyz answers %s: %s", answer.Status, body)
	}
	return err
}

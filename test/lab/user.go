package lab

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
)

// Kubeconfig writes a kubeconfig file for a user whom the API server knows by a certificate, and returns its path.
func (s *APIServer) Kubeconfig(user string, groups ...string) (string, error) {
	pair, err := s.CA.Client(user, groups...)
	if err != nil {
		return "", err
	}
	return s.writeKubeconfig(user, fmt.Sprintf("client-certificate-data: %s, client-key-data: %s",
		base64.StdEncoding.EncodeToString(pair.Cert), base64.StdEncoding.EncodeToString(pair.Key)))
}

// TokenKubeconfig writes a kubeconfig file for a service account, with a new token, and returns its path.
func (s *APIServer) TokenKubeconfig(namespace, account string) (string, error) {
	token, err := s.Token(namespace, account)
	if err != nil {
		return "", err
	}
	return s.writeKubeconfig(namespace+"."+account, "token: "+token)
}

// Token returns a new token of a service account, of the kind that its pods get.
func (s *APIServer) Token(namespace, account string) (string, error) {
	token, err := s.Kubectl("create", "token", account, "--namespace="+namespace)
	return strings.TrimSpace(token), err
}

func (s *APIServer) writeKubeconfig(name, credentials string) (string, error) {
	file := s.file(strings.ReplaceAll(name, ":", ".") + ".kubeconfig")
	return file, os.WriteFile(file, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: user, user: {%s}}]
contexts: [{name: lab, context: {cluster: lab, user: user}}]
current-context: lab
`, s.URL, base64.StdEncoding.EncodeToString(s.CA.PEM), credentials), 0o600)
}

// Client returns a client that trusts the API server and shows the certificate of a user.
func (s *APIServer) Client(user string, groups ...string) (*http.Client, error) {
	pair, err := s.CA.Client(user, groups...)
	if err != nil {
		return nil, err
	}
	cert, err := pair.TLS()
	if err != nil {
		return nil, err
	}
	transport := Trust(s.CA)
	transport.TLSClientConfig.Certificates = []tls.Certificate{cert}
	return &http.Client{Transport: transport}, nil
}

// Kubectl runs kubectl as the admin and returns what it printed; what it complained about is in the error.
func (s *APIServer) Kubectl(args ...string) (string, error) { return s.KubectlAs(s.Admin, "", args...) }

// Apply gives a text of documents to kubectl apply, as the admin.
func (s *APIServer) Apply(documents string) (string, error) {
	return s.KubectlAs(s.Admin, documents, "apply", "--filename=-")
}

// KubectlAs runs kubectl with a kubeconfig file and a standard input.
func (s *APIServer) KubectlAs(kubeconfig, input string, args ...string) (string, error) {
	cmd := exec.Command(s.kubectl, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECACHEDIR="+s.file("kubectl"), "HOME="+s.Folder)
	cmd.Stdin = strings.NewReader(input)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

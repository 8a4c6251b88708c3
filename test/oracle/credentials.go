package oracle

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// credentials are the contents of all PEM files below some folders: what a parser could have loaded. A pool of x509 does not tell what
// is in it, and a client certificate is kept without its file; but both can be asked about a given one.
type credentials struct {
	certs []certificate
	keys  [][]byte
}

type certificate struct {
	file   []byte
	parsed []*x509.Certificate
}

func credentialsBelow(folders []string) (credentials, error) {
	var found credentials
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && entry.IsDir() {
				return nil
			}
			if err != nil {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found.add(data)
			return nil
		})
		if err != nil {
			return credentials{}, err
		}
	}
	return found, nil
}

func (c *credentials) add(file []byte) {
	own := certificate{file: file}
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		if parsed, err := x509.ParseCertificate(block.Bytes); err == nil && block.Type == "CERTIFICATE" {
			own.parsed = append(own.parsed, parsed)
		}
	}
	if len(own.parsed) > 0 {
		c.certs = append(c.certs, own)
	}
	if bytes.Contains(file, []byte("PRIVATE KEY-----")) {
		c.keys = append(c.keys, file)
	}
}

// trustedBy returns the digests of those certificates that the transport takes for authorities.
func (c credentials) trustedBy(transport *http.Transport) []string {
	pool := transport.TLSClientConfig.RootCAs
	if pool == nil {
		return nil // the system's, and nothing beside it
	}
	var trusted []byte
	for _, file := range c.certs {
		for _, cert := range file.parsed {
			if in(pool, cert) {
				trusted = append(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
			}
		}
	}
	return runtimes.Digests(trusted)
}

// in says whether the pool holds the certificate itself: one that another in the pool has issued has a longer chain.
func in(pool *x509.CertPool, cert *x509.Certificate) bool {
	chains, err := cert.Verify(x509.VerifyOptions{
		Roots: pool, CurrentTime: cert.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err == nil && slices.ContainsFunc(chains, func(chain []*x509.Certificate) bool { return len(chain) == 1 })
}

// shownBy returns the digest of the client certificate that the transport shows: of several the last, as runtimes/containerd does.
func (c credentials) shownBy(transport *http.Transport) string {
	all := transport.TLSClientConfig.Certificates
	if len(all) == 0 {
		return ""
	}
	shown := all[len(all)-1]
	for _, cert := range c.certs {
		whole := slices.EqualFunc(cert.parsed, shown.Certificate, func(c *x509.Certificate, der []byte) bool { return bytes.Equal(c.Raw, der) })
		if !whole { // the same certificate may stand in a file of authorities, among others
			continue
		}
		for _, key := range c.keys {
			if _, err := tls.X509KeyPair(cert.file, key); err == nil {
				return runtimes.IdentityDigest(cert.file, key)
			}
		}
	}
	return "of no file in the folders"
}

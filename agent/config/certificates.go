package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// What is wrong with certificates, to be read after "holds" but for errKeyInCert. It is said of values that may be secret, and so never shows them.
var (
	errNothing       = errors.New("nothing")
	errNoCertificate = errors.New("no certificate that can be read")
	errDamaged       = errors.New("a certificate that is cut off or damaged")
	errPrivateKey    = errors.New("a private key, which would be there for everybody to read")
	errTooLarge      = errors.New("more than 256 KiB")
	errKeyInCert     = errors.New("holds a private key in its tls.crt, which would be there for everybody to read; keep it in tls.key only")
	errNoKey         = errors.New("no private key that can be read")
	errOtherKey      = errors.New("a private key that is encrypted, or not that of the certificate")
)

// endOfKey begins and ends a private key of any kind in PEM. It is looked for as text, because a block that is damaged is none to pem.Decode.
const endOfKey = "PRIVATE KEY-----"

// certificates reads the certificates in PEM data: at least one, all of them whole, and no private key beside them. One that is whole and
// that crypto/x509 does not take is passed over, as in a runtime.
func certificates(data []byte) ([]*x509.Certificate, error) {
	switch {
	case len(data) > maxPEM:
		return nil, errTooLarge
	case len(bytes.TrimSpace(data)) == 0:
		return nil, errNothing
	case bytes.Contains(data, []byte(endOfKey)):
		return nil, errPrivateKey
	}
	var out []*x509.Certificate
	begun := bytes.Count(data, []byte("-----BEGIN CERTIFICATE-----"))
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		begun-- // pem.Decode leaves out without a word what has no end, or is not base64
		if !whole(block.Bytes) {
			return nil, errDamaged
		}
		if len(block.Headers) > 0 {
			continue // as crypto/x509 does when a runtime reads the file
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			out = append(out, certificate)
		}
	}
	switch {
	case begun > 0:
		return nil, errDamaged
	case len(out) == 0:
		return nil, errNoCertificate
	}
	return out, nil
}

// whole says that data is as long as it says itself.
func whole(der []byte) bool {
	var value asn1.RawValue
	rest, err := asn1.Unmarshal(der, &value)
	return err == nil && len(rest) == 0
}

// checkPair says why a certificate and a key cannot be shown to a server; their keys are those of a Secret of type kubernetes.io/tls.
func checkPair(cert, key []byte) error {
	switch _, err := certificates(cert); {
	case errors.Is(err, errPrivateKey):
		return errKeyInCert
	case err != nil:
		return fmt.Errorf("holds %w in tls.crt", err)
	}
	if !hasKey(key) {
		return fmt.Errorf("holds %w in tls.key", errNoKey)
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return fmt.Errorf("holds in tls.key %w in tls.crt", errOtherKey)
	}
	return nil
}

func hasKey(data []byte) bool {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return true
		}
	}
	return false
}

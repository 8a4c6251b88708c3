package config

import (
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// registryEntry is one entry of spec.registries: what it wants, but for what its references refer to.
type registryEntry struct {
	field    string
	registry runtimes.Registry // Prefix is empty where it could not be read
	upstream references
	mirrors  []references // one for each of the registry's mirrors
	notes    []runtimes.Problem
	wrong    bool
}

// references are what a mirror or an upstream gets from other objects.
type references struct {
	ca         *reference
	clientCert string // the name of a Secret; or ""
	auth       string // the name of a Secret; or ""
}

// caPlace is where the CA stands, as a person finds it.
func (r references) caPlace() string {
	if r.ca == nil {
		return "its pem"
	}
	return r.ca.kind + "/" + r.ca.name
}

// reference is a key of an object.
type reference struct{ kind, name, key string }

// How long a connection may take to be made: as the document says by default, and at most, which is containerd's own.
const (
	defaultDialTimeout = time.Second
	maxDialTimeout     = 30 * time.Second
)

// mirror checks one mirror.
func (v validator) mirror(field string, m v1alpha1.Mirror) (runtimes.Mirror, references) {
	out := v.place(field, m)
	var refs references
	if out.Scheme == "http" {
		v.plainHTTP(field, m)
	}
	out.TLS, refs = v.tls(field, m.CA, m.ClientCert, m.SkipVerify)
	refs.auth = v.secretName(field+".auth", m.Auth)
	out.Headers = v.headers(field+".headers", m.Headers)
	out.DigestOnly = m.ResolveTags != nil && !*m.ResolveTags && !v.broken(field+".resolveTags")
	out.DialTimeout = defaultDialTimeout
	if at := field + ".dialTimeout"; m.DialTimeout != nil && !v.broken(at) {
		out.DialTimeout = m.DialTimeout.Duration
		if out.DialTimeout <= 0 || out.DialTimeout > maxDialTimeout {
			v.errorf(at, "write more than 0 and at most 30s", "%s is out of range", out.DialTimeout)
		}
	}
	return out, refs
}

// place reads where the mirror is.
func (v validator) place(field string, m v1alpha1.Mirror) runtimes.Mirror {
	var out runtimes.Mirror
	var f *fault
	switch which := v.oneOf(field, "location", "apiRoot"); which {
	case "location":
		out, f = parseLocation(string(m.Location))
		v.report(field+".location", f)
	case "apiRoot":
		out, f = parseAPIRoot(string(m.APIRoot))
		v.report(field+".apiRoot", f)
	}
	return out
}

// plainHTTP refuses what only TLS has: containerd tries HTTPS first where it finds any of it (core/remotes/docker/config/hosts.go).
func (v validator) plainHTTP(field string, m v1alpha1.Mirror) {
	for _, c := range []struct {
		name string
		set  bool
	}{{"ca", m.CA != nil}, {"clientCert", m.ClientCert != nil}, {"skipVerify", m.SkipVerify}} {
		if c.set {
			v.errorf(field+"."+c.name, "remove it, or use https", "cannot be had with plain HTTP")
		}
	}
}

// tls checks how a server is verified.
func (v validator) tls(field string, ca *v1alpha1.CA, cert *v1alpha1.SecretReference, skip bool) (runtimes.TLS, references) {
	out := runtimes.TLS{SkipVerify: skip}
	var refs references
	if ca != nil && !v.broken(field+".ca") {
		if skip {
			v.errorf(field+".skipVerify", "remove one of them", "makes ca pointless, for any certificate is accepted")
		}
		out.CA, refs.ca = v.ca(field+".ca", *ca)
	}
	refs.clientCert = v.secretName(field+".clientCert", cert)
	return out, refs
}

func (v validator) ca(field string, ca v1alpha1.CA) ([]byte, *reference) {
	switch v.oneOf(field, "secretRef", "configMapRef", "pem") {
	case "secretRef":
		return nil, v.keyRef(field+".secretRef", "Secret", *ca.SecretRef)
	case "configMapRef":
		return nil, v.keyRef(field+".configMapRef", "ConfigMap", *ca.ConfigMapRef)
	case "pem":
		if _, err := certificates([]byte(ca.PEM)); err != nil {
			v.errorf(field+".pem", "paste the PEM of the authority's certificate, from -----BEGIN CERTIFICATE----- on", "holds %s", err)
			return nil, nil
		}
		return []byte(ca.PEM), nil
	}
	return nil, nil
}

func (v validator) keyRef(field, kind string, ref v1alpha1.KeyReference) *reference {
	key := ref.Key
	if !v.has(field + ".key") {
		key = "ca.crt"
	}
	if v.has(field+".key") && !v.broken(field+".key") && len(validation.IsConfigMapKey(key)) > 0 {
		v.errorf(field+".key", "use letters, digits, -, _ and . only", "%s is not a key that a %s can have", quote(key), kind)
	}
	return &reference{kind: kind, name: v.objectName(field+".name", ref.Name), key: key}
}

// secretName returns the name in a reference to a Secret as a whole; "" for none.
func (v validator) secretName(field string, ref *v1alpha1.SecretReference) string {
	if ref == nil || v.broken(field) || v.missing(field+".secretRef", "write secretRef: {name: …}") {
		return ""
	}
	return v.objectName(field+".secretRef.name", ref.SecretRef.Name)
}

func (v validator) objectName(field, name string) string {
	if v.broken(field) || v.missing(field, "write the name of the object") {
		return ""
	}
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		v.errorf(field, "use lower-case letters, digits, - and . only", "%s is not a name that an object can have", quote(name))
	}
	return name
}

// headers checks names and values. Values are never shown: they could be secrets, though they should not.
func (v validator) headers(field string, headers map[string]string) map[string]string {
	v.atMost(field, len(headers), maxHeaders, "keep those that the mirror needs")
	first := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		at := field + "[" + plainKey(name) + "]"
		if v.broken(at) || v.report(at, checkHeaderName(name)) || v.report(at, checkHeaderValue(headers[name])) {
			continue
		}
		lower := strings.ToLower(name)
		if other, twice := first[lower]; twice {
			v.errorf(at, "keep one of them", "is the same header as %s", other)
		}
		first[lower] = name
	}
	return headers
}

func checkHeaderName(name string) *fault {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // RFC 9110, 5.6.2
	switch strings.ToLower(name) {
	case "authorization", "proxy-authorization", "cookie":
		return faultf("use auth, which keeps it in a Secret", "credentials do not belong into a document that many may read")
	case "host", "content-length", "transfer-encoding", "connection":
		return faultf("remove it", "is set by the HTTP client itself")
	}
	if name == "" || len(name) > maxHeaderName || strings.Trim(name, token) != "" {
		return faultf("use letters, digits and - only", "is not the name of a header")
	}
	return nil
}

func checkHeaderValue(value string) *fault {
	if len(value) > maxHeaderValue {
		return faultf("shorten it", "the value is longer than %d characters", maxHeaderValue)
	}
	if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return faultf("write it on one line", "the value has a line break or another control character")
	}
	return nil
}

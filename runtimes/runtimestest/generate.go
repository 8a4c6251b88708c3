package runtimestest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	mathrand "math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Secret is part of every generated secret, so that a test can look for it where it must not be.
const Secret = "c2VjcmV0LWNhbmFyeQ"

var prefixes = []string{
	"docker.io", "quay.io", "Quay.io", "gcr.io", "ghcr.io", "registry.k8s.io", "r.io", "r.io:5000", "10.9.8.7:5000", "[fd00::7]:5000",
	"localhost:5000", "127.0.0.1:5001", "reg.example", "reg.example:443", "*", "gcr.io/google-containers", "cr.example.io/library", "r.io/a/b",
}

var mirrorHosts = []string{
	"harbor.example.com", "harbor.example.com:8443", "10.1.2.3:5000", "[fd00::1]:5000", "172.18.0.20", "m-1.internal", "localhost:30020", "httpcache.local:5000",
}

// pairs are made once: a certificate is costly, and any will do.
var certificates = sync.OnceValue(func() []pair {
	out := make([]pair, 4)
	for i := range out {
		out[i] = newPair(fmt.Sprintf("mirrorlet test %d", i))
	}
	return out
})

type pair struct{ cert, key []byte }

func newPair(name string) pair {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Headers: map[string]string{"Test": Secret}, Bytes: der}),
	}
}

type generator struct{ *mathrand.Rand }

func newGenerator(seed uint64) generator {
	return generator{mathrand.New(mathrand.NewPCG(seed, 1))}
}

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g generator, all []T) T { return all[g.IntN(len(all))] }

// intent is any intent that the reader of documents would let pass.
func (g generator) intent() runtimes.Intent {
	names := slices.Clone(prefixes)
	g.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	names = names[:g.IntN(6)]
	slices.Sort(names)
	var out runtimes.Intent
	for i, prefix := range names {
		out.Registries = append(out.Registries, g.registry(prefix, i))
	}
	return out
}

func (g generator) registry(prefix string, i int) runtimes.Registry {
	r := runtimes.Registry{
		Prefix: prefix, Fallback: runtimes.Always, OnExisting: runtimes.Keep, From: fmt.Sprintf("MirrorConfig/generated registries[%d]", i),
	}
	if g.chance(30) {
		r.Upstream = g.tls()
	}
	if g.chance(40) {
		r.OnExisting = runtimes.Replace
	}
	for n := g.IntN(5); len(r.Mirrors) < n; {
		m := g.mirror()
		if !slices.ContainsFunc(r.Mirrors, func(o runtimes.Mirror) bool { return o.Root() == m.Root() }) {
			m.From = fmt.Sprintf("%s.mirrors[%d]", r.From, len(r.Mirrors))
			r.Mirrors = append(r.Mirrors, m)
		}
	}
	resolves := slices.ContainsFunc(r.Mirrors, func(m runtimes.Mirror) bool { return !m.DigestOnly })
	if resolves && g.chance(40) {
		r.Fallback = runtimes.Never
	}
	if len(r.Mirrors) == 0 && r.Upstream.IsZero() {
		r.Upstream.CA = certificates()[0].cert
	}
	return r
}

func (g generator) mirror() runtimes.Mirror {
	m := runtimes.Mirror{Scheme: "https", Host: pick(g, mirrorHosts), DigestOnly: g.chance(25), DialTimeout: time.Second}
	switch g.IntN(4) {
	case 0:
		m.Path = pick(g, []string{"hub", "library", "a/b-c/d_e", "proxy.cache"})
	case 1:
		m.APIRoot = pick(g, []string{"/v2", "/artifactory/api/docker/Hub/v2", "/x", "/v2/proxy", "/a.b~c/Team-1"})
	}
	if g.chance(20) {
		m.Scheme = "http"
	} else if g.chance(60) {
		m.TLS = g.tls()
	}
	if g.chance(20) {
		m.Authorization = "Basic " + Secret
	}
	if g.chance(20) {
		m.Headers = map[string]string{"X-Site": pick(g, []string{`a "quoted" value`, `back\slash`, "plain"}), "x-lower": "1"}
	}
	return m
}

func (g generator) tls() runtimes.TLS {
	var t runtimes.TLS
	if g.chance(60) {
		t.CA = slices.Clone(pick(g, certificates()).cert)
	}
	if g.chance(20) {
		t.CA = slices.Concat(t.CA, pick(g, certificates()).cert)
	}
	if g.chance(25) {
		p := pick(g, certificates())
		t.ClientCert, t.ClientKey = p.cert, p.key
	}
	t.SkipVerify = g.chance(20)
	return t
}

// foreign is what the owner of a host may have in his folders: other people's hosts.toml, certificates, empty folders.
func (g generator) foreign(target string) []runtimes.File {
	var out []runtimes.File
	for n := g.IntN(4); n > 0; n-- {
		prefix := pick(g, prefixes)
		name, _, _ := strings.Cut(prefix, "/")
		if prefix == "*" {
			name = "_default"
		} else if i := strings.LastIndex(name, ":"); i > 0 && g.chance(50) {
			name = name[:i] + "_" + name[i+1:] + "_"
		}
		dir := path.Join(target, name)
		file := func(name string, content []byte) {
			out = append(out, runtimes.File{Path: path.Join(dir, name), Content: content, Mode: 0o644})
		}
		switch p := pick(g, certificates()); g.IntN(6) {
		case 0:
			out = append(out, runtimes.File{Path: dir, Mode: fs.ModeDir | 0o755})
		case 1:
			file("ca.crt", p.cert)
		case 2:
			file("client.cert", p.cert)
			file("client.key", p.key)
		case 3:
			file("hosts.toml", []byte("[host.\"https://theirs.example\"]\n"))
		case 4:
			file("hosts.toml", nil)
		case 5:
			file("hosts.toml", []byte("this is = not = toml"))
			file("ca.crt", p.cert)
		}
	}
	return out
}

// refs are references into every entry of the intent, into its neighbours, and into registries of which it says nothing.
func (g generator) refs(intent runtimes.Intent) []runtimes.Ref {
	names := []string{"docker.io/library/nginx", "unheard.example/a/b", "r.io:5000/a/b/c", "r.io/a/bc"}
	for _, r := range intent.Registries {
		if r.Prefix != "*" {
			names = append(names, r.Prefix+"/"+pick(g, []string{"a/b", "team/app", "library/x/y"}))
		}
	}
	var out []runtimes.Ref
	for _, name := range names {
		object := pick(g, []string{"", ":v1", "@sha256:" + strings.Repeat("ab", 32), ":v1@sha256:" + strings.Repeat("cd", 32)})
		ref, err := runtimes.ParseRef(name + object)
		if err != nil {
			panic(err)
		}
		out = append(out, ref)
	}
	return out
}

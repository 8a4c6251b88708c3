package config_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/config"
)

func TestReferencesAreResolvedOrKeptOrHeld(t *testing.T) {
	good, other := authority(t), authority(t)
	two := func(more string) string {
		return mirrorConfig("a", "{registries: [{prefix: r.io, mirrors: [{location: 'https://a', ca: {secretRef: {name: ca}}}, {location: 'https://b'}]"+more+"}]}")
	}
	one := mirrorConfig("a", "{registries: [{prefix: r.io, mirrors: [{location: 'https://a', ca: {secretRef: {name: ca}}}]}]}")
	upstream := mirrorConfig("a", "{registries: [{prefix: r.io, upstream: {ca: {secretRef: {name: ca}}}, mirrors: [{location: 'https://b'}]}]}")
	last := map[string][]byte{"Secret/ca/ca.crt": []byte(other.cert)}
	const both, second, held = "r.io=https://a/v2,https://b/v2", "r.io=https://b/v2", "held:r.io"
	for _, c := range []struct {
		name, docs           string
		last                 map[string][]byte
		intent, problems, ca string
	}{
		{"a value that is there is used", two("") + secret("ca", quoted("ca.crt", good.cert)), nil, both, "", good.cert},
		{"a value that is there wins over the last good one", two("") + secret("ca", quoted("ca.crt", good.cert)), last, both, "", good.cert},
		{"the last good value is kept when the object is gone", two(""), last, both, "UnresolvedReference", other.cert},
		{"the last good value is kept when the key is gone", two("") + secret("ca", quoted("tls.crt", good.cert)), last, both, "UnresolvedReference", other.cert},
		{"the last good value is kept when the new one is no certificate", two("") + secret("ca", quoted("ca.crt", "x")), last, both, "UnresolvedReference", other.cert},
		{"a key beside a certificate is not used", two("") + secret("ca", quoted("ca.crt", good.cert+good.key)), last, both, "UnresolvedReference", other.cert},
		{"a damaged key beside a certificate is not used", two("") + secret("ca", quoted("ca.crt", good.cert+strings.Replace(good.key, "\n", "\nx", 1))), last, both, "UnresolvedReference", other.cert},
		{"a mirror without a value is left out", two(""), nil, second, "UnresolvedReference", ""},
		{"an entry without any mirror left is held", one, nil, held, "UnresolvedReference UnresolvedReference", ""},
		{"an entry whose upstream lacks a value is held", upstream, nil, held, "UnresolvedReference UnresolvedReference", ""},
		{
			"Never is held when the last mirror that resolves tags is gone",
			strings.Replace(two(", fallback: Never"), "'https://b'", "'https://b', resolveTags: false", 1), nil, held, "UnresolvedReference UnresolvedReference", "",
		},
		{"Never stands while a mirror resolves tags", two(", fallback: Never"), nil, second, "UnresolvedReference", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := compile(t, config.Options{LastGood: c.last}, c.docs)
			if summary(r.Intent) != c.intent || reasons(r) != c.problems {
				t.Errorf("got %q, %q: %v", summary(r.Intent), reasons(r), r.Problems)
			}
			if got := string(r.References["Secret/ca/ca.crt"]); got != c.ca {
				t.Errorf("reference is %q", got)
			}
			if c.intent == both && string(r.Intent.Registries[0].Mirrors[0].TLS.CA) != c.ca {
				t.Errorf("the CA is another")
			}
			if text := fmt.Sprint(r.Problems); strings.Contains(text, "BEGIN") {
				t.Errorf("shows a value: %s", text)
			}
		})
	}
}

func TestAClientCertificateAndItsKeyStayTogether(t *testing.T) {
	a, b := authority(t), authority(t)
	doc := mirrorConfig("a", "{registries: [{prefix: r.io, mirrors: [{location: 'https://a', clientCert: {secretRef: {name: t}}}]}]}")
	last := map[string][]byte{"Secret/t/tls.crt": []byte(b.cert), "Secret/t/tls.key": []byte(b.key)}
	r := compile(t, config.Options{LastGood: last}, doc, secret("t", quoted("tls.crt", a.cert, "tls.key", b.key)))
	if m := r.Intent.Registries[0].Mirrors[0]; string(m.TLS.ClientCert) != b.cert || string(m.TLS.ClientKey) != b.key || reasons(r) != "UnresolvedReference" {
		t.Errorf("a pair that does not match is used: %v", r.Problems)
	}
	r = compile(t, config.Options{LastGood: last}, doc, secret("t", quoted("tls.crt", a.cert+a.key, "tls.key", a.key)))
	if m := r.Intent.Registries[0].Mirrors[0]; string(m.TLS.ClientCert) != b.cert || reasons(r) != "UnresolvedReference" {
		t.Errorf("a key goes into the file of the certificate, which everybody may read: %v", r.Problems)
	}
	r = compile(t, config.Options{LastGood: last}, doc, secret("t", quoted("tls.crt", a.cert, "tls.key", a.key)))
	if m := r.Intent.Registries[0].Mirrors[0]; string(m.TLS.ClientKey) != a.key || reasons(r) != "" {
		t.Errorf("a pair that matches is not used: %v", r.Problems)
	}
}

func TestCredentialsBecomeAHeader(t *testing.T) {
	doc := mirrorConfig("a", "{registries: [{prefix: r.io, mirrors: [{location: 'https://h.io:5000', auth: {secretRef: {name: robot}}}]}]}")
	docker := func(host, entry string) string {
		return quoted(".dockerconfigjson", `{"auths":{"`+host+`":`+entry+`}}`)
	}
	encoded := base64.StdEncoding.EncodeToString([]byte("u:p:w"))
	for _, c := range []struct{ name, data, credentials string }{
		{"user name and password", quoted("username", "u", "password", "p:w"), "u:p:w"},
		{"a Docker config with auth", docker("h.io:5000", `{"auth":"`+encoded+`"}`), "u:p:w"},
		{"a Docker config with user name and password", docker("https://H.io:5000/v1/", `{"username":"u","password":"p:w"}`), "u:p:w"},
		{"a Docker config for another port", docker("h.io", `{"auth":"`+encoded+`"}`), ""},
		{"a Docker config that is none", quoted(".dockerconfigjson", "hunter2"), ""},
		{"a user name without a password", quoted("username", "u"), ""},
		{"a password with a newline at its end", quoted("username", "u", "password", "hunter2\n"), ""},
		{"a user name with a colon", quoted("username", "u:v", "password", "hunter2"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := compile(t, config.Options{}, doc, secret("robot", c.data))
			if c.credentials == "" {
				if summary(r.Intent) != "held:r.io" || strings.Contains(fmt.Sprint(r.Problems), "hunter2") {
					t.Errorf("got %q: %v", summary(r.Intent), r.Problems)
				}
				return
			}
			want := "Basic " + base64.StdEncoding.EncodeToString([]byte(c.credentials))
			if len(r.Intent.Registries) != 1 || r.Intent.Registries[0].Mirrors[0].Authorization != want {
				t.Errorf("got %+v, %v", r.Intent, r.Problems)
			}
		})
	}
}

func TestCredentialsThatAreThereWinOverTheLastGoodOnes(t *testing.T) {
	doc := mirrorConfig("a", "{registries: [{prefix: r.io, mirrors: [{location: 'https://h.io', auth: {secretRef: {name: robot}}}]}]}")
	last := map[string][]byte{"Secret/robot/username": []byte("u"), "Secret/robot/password": []byte("old")}
	r := compile(t, config.Options{LastGood: last}, doc, secret("robot", quoted("username", "u", "password", "new")))
	if got, want := r.Intent.Registries[0].Mirrors[0].Authorization, "Basic "+base64.StdEncoding.EncodeToString([]byte("u:new")); got != want {
		t.Errorf("got %q", got)
	}
}

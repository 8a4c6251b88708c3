package crds_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/config"
)

func sameVerdict(t *testing.T, s server) {
	differ := lines(t, "differ.txt")
	documents(t, func(name string, document []byte) {
		_, errs := config.Parse(name, document)
		refusal := s.create(t, document)
		_, listed := differ[name]
		delete(differ, name)
		switch differs := (len(errs) > 0) != (refusal != ""); {
		case differs && !listed:
			t.Errorf("%s: check %s it (%v), an API server %s it (%s)", name, verdict(len(errs) > 0), errs, verdict(refusal != ""), refusal)
		case listed && !differs:
			t.Errorf("%s: both say the same, so testdata/differ.txt need not list it (%s)", name, refusal)
		}
	})
	for name := range differ {
		t.Errorf("testdata/differ.txt lists %s, which is not there", name)
	}
}

func secrets(t *testing.T, s server) {
	for name, document := range map[string]string{
		"the password of a location":  "location: https://robot:hunter2@m.example.com:70000/V2/v2",
		"the password of an API root": "apiRoot: https://robot:hunter2@m.example.com:70000/a/../b",
		"the token of a location":     "location: https://docker.io/v2/A//b?token=hunter2",
		"a location without a scheme": "location: robot:hunter2@m.example.com",
		"the value of a header":       "{location: https://m.example.com, headers: {Authorization: hunter2}}",
		"the value of a bad header":   `{location: https://m.example.com, headers: {X-Site: "hunter2\n"}}`,
		"a private key":               `{location: https://m.example.com, ca: {pem: "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----"}}`,
	} {
		refusal := s.create(t, []byte(mirrorConfig("registries: [{prefix: quay.io, mirrors: ["+flow(document)+"]}]")))
		if refusal == "" || strings.Contains(refusal, "hunter2") {
			t.Errorf("%s: %q", name, refusal)
		}
	}
}

// mirrorConfig is a MirrorConfig with a spec.
func mirrorConfig(spec string) string {
	return "{apiVersion: mirrorlet.dev/v1alpha1, kind: MirrorConfig, metadata: {name: cluster}, spec: {" + spec + "}}"
}

// flow puts a single field into braces.
func flow(fields string) string {
	if strings.HasPrefix(fields, "{") {
		return fields
	}
	key, value, _ := strings.Cut(fields, ": ")
	return "{" + key + ": " + `"` + value + `"}`
}

func limits(t *testing.T, s server) {
	document := large()
	if _, errs := config.Parse("large.yaml", document); len(errs) > 0 {
		t.Fatalf("check: %v", errs)
	}
	if refusal := s.create(t, document); refusal != "" {
		t.Errorf("an API server: %.1000s", refusal)
	}
}

// large is a document with as many entries of each kind as it may have, and locations as long as they may be. An API server stops where
// the rules cost more at run time than an object may, whatever it estimated of the CRD.
func large() []byte {
	var registries, hosts []string
	for i := range 150 {
		var mirrors []string
		for j := range 8 {
			location := fmt.Sprintf("https://mirror-%d-%d.example.com:5000/", i, j)
			location += strings.Repeat("a", 256-len(location))
			mirrors = append(mirrors, fmt.Sprintf("{location: %q, headers: {X-Site: north, X-Zone: a}, auth: {secretRef: {name: robot}}, ca: {secretRef: {name: harbor-ca}}}", location))
		}
		registries = append(registries, fmt.Sprintf("{prefix: registry-%d.example.com, mirrors: [%s]}", i, strings.Join(mirrors, ", ")))
	}
	for i := range 100 {
		var names []string
		for j := range 8 {
			names = append(names, fmt.Sprintf("name-%d-%d.my.org", i, j))
		}
		hosts = append(hosts, fmt.Sprintf("{names: [%s], addresses: [10.1.2.3, 'fd00::1']}", strings.Join(names, ", ")))
	}
	return []byte(mirrorConfig("registries: [" + strings.Join(registries, ", ") + "], hosts: [" + strings.Join(hosts, ", ") + "]"))
}

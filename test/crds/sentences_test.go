package crds_test

import (
	"strings"
	"testing"
)

// mistakes are those that people make most, by the name of a document of the corpus, with the remedy that an API server must say.
var mistakes = []struct{ document, remedy string }{
	{"a-location-without-a-scheme", "write https://harbor or http://harbor"},
	{"a-location-that-begins-with-v2", "write location: https://m.example.com/hub"},
	{"a-location-with-v2-at-the-end", "write apiRoot: https://h.example.com/artifactory/api/docker/hub/v2 instead of location"},
	{"a-location-at-docker-io", "write https://registry-1.docker.io"},
	{"a-location-with-a-password", "use auth"},
	{"a-location-with-an-upper-case-path", "write it in lower case"},
	{"a-location-with-a-port-that-is-too-large", "write a number from 1 to 65535"},
	{"a-mirror-that-is-the-registry-itself", "remove it"},
	{"a-mirror-that-is-nowhere", "has none of location, apiRoot; write one of them"},
	{"one-mirror-twice", "remove it"},
	{"one-prefix-twice", "write one entry with all the mirrors"},
	{"a-prefix-with-a-scheme", "write quay.io"},
	{"a-prefix-as-a-pattern", "write an entry for each registry"},
	{"a-prefix-with-a-trailing-slash", "write it without"},
	{"a-prefix-with-a-tag", "write the name only"},
	{"an-image-of-docker-hub", "write docker.io/library/nginx"},
	{"an-organisation-of-docker-hub", "write docker.io/bitnami/redis"},
	{"an-authority-with-plain-http", "remove it, or use https"},
	{"an-authority-that-is-not-pem", "paste the PEM of the authority's certificate"},
	{"skip-verify-beside-an-authority", "remove one of them"},
	{"fallback-never-without-mirrors", "add a mirror, or write Always"},
	{"fallback-never-when-no-mirror-resolves-tags", "set resolveTags: true on a mirror, or write Always"},
	{"fallback-in-lower-case", `supported values: "Always", "Never"`},
	{"a-header-that-authorizes", "use auth, which keeps it in a Secret"},
	{"a-dial-timeout-that-is-too-long", "write more than 0 and at most 30s"},
	{"a-host-name-that-is-an-address", "write a name here and the address under addresses"},
	{"two-addresses-of-one-family", "keep one"},
	{"too-many-registries", "must have at most 150 items"},
	// Those two sentences are the API server's own.
	{"a-field-that-is-misspelt", `unknown field "spec.registries[0].mirors"`},
	{"a-dial-timeout-without-a-unit", "must be of type string"},
}

func usualMistakes(t *testing.T, s server) {
	var all strings.Builder
	for _, m := range mistakes {
		refusal := s.create(t, document(t, "bad/"+m.document))
		if !strings.Contains(refusal, m.remedy) {
			t.Errorf("%s: %q is not said in %q", m.document, m.remedy, refusal)
		}
		all.WriteString(m.document + "\n    " + refusal + "\n")
	}
	golden(t, "sentences.txt", all.String())
}

func person(t *testing.T, s server) {
	if _, err := s.Apply(`{apiVersion: mirrorlet.dev/v1alpha1, kind: MirrorConfig, metadata: {name: patched}, spec: {registries: [{prefix: quay.io}]}}`); err != nil {
		t.Fatal(err)
	}
	_, err := s.Kubectl("patch", "mc", "patched", "--type=merge", "--patch", `{"spec": {"registries": [{"prefix": "quay.io", "mirrors": [{"location": "harbor.example.com"}]}]}}`)
	const want = `spec.registries[0].mirrors[0].location: Invalid value: "harbor.example.com": has no scheme; write https://harbor.example.com or http://harbor.example.com`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
	if got, err := s.Kubectl("get", "mirrorlet", "--output=name"); err != nil || !strings.Contains(got, "mirrorconfig.mirrorlet.dev/patched\n") {
		t.Errorf("got %q, %v", got, err)
	}
}

func defaults(t *testing.T, s server) {
	if _, err := s.Apply(`{apiVersion: mirrorlet.dev/v1alpha1, kind: MirrorConfig, metadata: {name: defaults}, spec: {registries: [
{prefix: quay.io, mirrors: [{location: "https://m.example.com", ca: {secretRef: {name: a}}}]}]}}`); err != nil {
		t.Fatal(err)
	}
	got, err := s.Kubectl("get", "mc", "defaults", "--output=jsonpath={.spec}")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"registries":[{"fallback":"Always","mirrors":[{"ca":{"secretRef":{"key":"ca.crt","name":"a"}},"dialTimeout":"1s",` +
		`"location":"https://m.example.com","resolveTags":true}],"onExisting":"Keep","prefix":"quay.io"}],"runtimeRestart":"WhenRequired"}`
	if got != want {
		t.Errorf("got %s", got)
	}
}

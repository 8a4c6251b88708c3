package runtimes_test

import (
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

const revision = "0a1b2c3d4e5f"

func TestAProofLeadsToLoopbackAndNowhereElse(t *testing.T) {
	intent := runtimes.Intent{Registries: []runtimes.Registry{
		{Prefix: "*", Mirrors: []runtimes.Mirror{{Scheme: "https", Host: "mirror.example.com"}}},
		runtimes.Proof(revision, "127.0.0.1:1234"),
	}}
	ref, err := runtimes.ParseRef(runtimes.ProofName(revision) + "/nonce:proof")
	if err != nil {
		t.Fatal(err)
	}
	endpoints := intent.Endpoints(ref)
	if len(endpoints) != 1 || endpoints[0].URL != "http://127.0.0.1:1234/v2/nonce/manifests/proof" || !endpoints[0].ResolvesTags {
		t.Errorf("it is asked for at %+v", endpoints)
	}
}

func TestAProofOfAnotherRevisionProvesNothing(t *testing.T) {
	intent := runtimes.Intent{Registries: []runtimes.Registry{runtimes.Proof(revision, "127.0.0.1:1234")}}
	ref, err := runtimes.ParseRef(runtimes.ProofName("f5e4d3c2b1a0") + "/nonce:proof")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range intent.Endpoints(ref) {
		if strings.Contains(e.URL, "127.0.0.1") {
			t.Errorf("it is asked for at %s", e.URL)
		}
	}
}

func TestAProofIsKnownByItsName(t *testing.T) {
	for prefix, want := range map[string]bool{
		runtimes.ProofName(revision):           true,
		runtimes.Proof(revision, "").Prefix:    true,
		runtimes.ProofDomain:                   false,
		"x" + runtimes.ProofDomain:             false,
		revision + "." + "mirrorlet.invalid":   false,
		runtimes.ProofName(revision) + ":5000": false,
		"docker.io":                            false,
	} {
		if got := runtimes.IsProof(prefix); got != want {
			t.Errorf("%s: %t", prefix, got)
		}
	}
}

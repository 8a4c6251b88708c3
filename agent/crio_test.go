package agent

import (
	"slices"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/crio"
)

// authority is any certificate, as YAML has it in quotes.
const authority = `-----BEGIN CERTIFICATE-----\nMIIBtjCCAV2gAwIBAgIUMo2ZfO4RE65xM0ZaFvcngdoRbaIwCgYIKoZIzj0EAwIw\nKDEmMCQGA1UEAwwdRXhhbXBsZSBzaXRlIENBIChwbGFjZWhvbGRlcikwIBcNMjYx\nMTIxMDIxMTQ2WhgPMjEyNjEwMjgwMjExNDZaMCgxJjAkBgNVBAMMHUV4YW1wbGUg\nc2l0ZSBDQSAocGxhY2Vob2xkZXIpMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\nanp9NX5LrRI0GtlPqx1tTy3dwIMsc2Qd0z6nwUtVrsQ/5IaWNsBl0HRoBDk7m68U\nvwHRXcYmazFTzGmBk+Z01aNjMGEwHQYDVR0OBBYEFAXsq4fNdiZ2wUQB+ROZ7bJ1\nBzSXMB8GA1UdIwQYMBaAFAXsq4fNdiZ2wUQB+ROZ7bJ1BzSXMA8GA1UdEwEB/wQF\nMAMBAf8wDgYDVR0PAQH/BAQDAgIEMAoGCCqGSM49BAMCA0cAMEQCIGlGChGHzoZx\nrqrnwtxCcdCAswcpCjYuOu7wEp28PlP/AiA66T8xdLKEsloCtjj+aVEUYO7jN4jq\n20jgvo7dV+4tNg==\n-----END CERTIFICATE-----\n`

const quayDropIn = "/etc/containers/registries.conf.d/zz-mirrorlet-quay.io.conf"

// onCRIO is an agent on a machine with CRI-O.
func onCRIO(t *testing.T, document []byte) (*Agent, string) {
	t.Helper()
	a, file := pretended(t, document)
	a.Assume = &plan.Found{Runtime: crio.Runtime{}, Facts: crio.Runtime{}.Assume("1.34.0")}
	return a, file
}

func TestADropInIsProvenWithTheCertificatesThatStandElsewhere(t *testing.T) {
	with := func(path string) []byte {
		return document("  - {prefix: quay.io, mirrors: [{location: https://m.example.com/" + path + `, ca: {pem: "` + authority + `"}}]}` + "\n")
	}
	a, file := onCRIO(t, with("one"))
	if r := pass(t, a); !r.Applied || len(r.Problems) > 0 {
		t.Fatalf("%+v", r)
	}
	write(t, file, with("two")) // the certificate stays, and the parser must find it beside what changes
	if r := pass(t, a); !r.Applied || len(r.Problems) > 0 || !strings.Contains(get(a, quayDropIn), "m.example.com/two") {
		t.Errorf("%+v\n%s", r, get(a, quayDropIn))
	}
	if _, err := a.Leave(t.Context()); err != nil || get(a, quayDropIn) != "" {
		t.Errorf("%v, left: %q", err, get(a, quayDropIn))
	}
}

func TestBesideABrokenDropInOfTheOwnerNothingIsWritten(t *testing.T) {
	a, _ := onCRIO(t, document(quay))
	put(t, a, "/etc/containers/registries.conf.d/50-site.conf", "[[registry]\n")
	r := pass(t, a)
	if get(a, quayDropIn) != "" || !slices.Contains(reasons(r), runtimes.RuntimeMismatch) {
		t.Errorf("written: %q, problems %v", get(a, quayDropIn), r.Problems)
	}
	for _, p := range r.Problems {
		if strings.Contains(p.Message, a.Host.Root()) || strings.Contains(p.Message, "stage") {
			t.Errorf("the message names the copy: %s", p.Message)
		}
	}
}

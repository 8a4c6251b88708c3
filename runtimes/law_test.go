package runtimes_test

import (
	"testing"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

func TestWhatARuntimeAsksObeysTheWishOnlyWhereTheDifferenceIsNone(t *testing.T) {
	const digest = "@sha256:abababababababababababababababababababababababababababababababab"
	mirror := func(url string, change func(*runtimes.Endpoint)) runtimes.Endpoint {
		e := runtimes.Endpoint{URL: url, Kind: runtimes.KindMirror, ResolvesTags: true}
		if change != nil {
			change(&e)
		}
		return e
	}
	plain := func(e *runtimes.Endpoint) { e.PlainHTTP = true }
	unverified := func(e *runtimes.Endpoint) { e.SkipVerify = true }
	insecure := func(e *runtimes.Endpoint) { e.SkipVerify, e.Insecure = true, true }
	byDigest := func(e *runtimes.Endpoint) { e.ResolvesTags = false }
	shows := func(e *runtimes.Endpoint) { e.Identity = "theirs" }
	ofHost := func(e *runtimes.Endpoint) { e.Identity, e.OfHost = "theirs", true }
	asks := func(e *runtimes.Endpoint) { e.Identity = "ours" }
	for name, c := range map[string]struct {
		ref       string
		got, want []runtimes.Endpoint
		obeys     bool
	}{
		"insecure stands for plain HTTP":                          {"r.io/a", list(mirror("https://m:5000/v2/a", insecure)), list(mirror("http://m:5000/v2/a", plain)), true},
		"insecure stands for TLS that is not verified":            {"r.io/a", list(mirror("https://m/v2/a", insecure)), list(mirror("https://m/v2/a", unverified)), true},
		"insecure never stands for TLS that is verified":          {"r.io/a", list(mirror("https://m/v2/a", insecure)), list(mirror("https://m/v2/a", nil)), false},
		"insecure at another port is not what was wanted":         {"r.io/a", list(mirror("https://m:5000/v2/a", insecure)), list(mirror("http://m/v2/a", plain)), false},
		"unverified TLS is no plain HTTP":                         {"r.io/a", list(mirror("https://m/v2/a", unverified)), list(mirror("http://m/v2/a", plain)), false},
		"the scheme's own port may be spelled out":                {"r.io/a", list(mirror("https://m:443/v2/a", nil)), list(mirror("https://m/v2/a", nil)), true},
		"the port of the other scheme may not":                    {"r.io/a", list(mirror("https://m:80/v2/a", nil)), list(mirror("https://m/v2/a", nil)), false},
		"a mirror by digest may be missing for a tag":             {"r.io/a:1", list(mirror("https://n/v2/a", nil)), list(mirror("https://m/v2/a", byDigest), mirror("https://n/v2/a", nil)), true},
		"a mirror by digest may not be missing for a digest":      {"r.io/a" + digest, list(mirror("https://n/v2/a", nil)), list(mirror("https://m/v2/a", byDigest), mirror("https://n/v2/a", nil)), false},
		"a mirror that resolves tags may never be missing":        {"r.io/a:1", list(mirror("https://n/v2/a", nil)), list(mirror("https://m/v2/a", nil), mirror("https://n/v2/a", nil)), false},
		"a certificate that nobody asked for is not shown":        {"r.io/a", list(mirror("https://m/v2/a", shows)), list(mirror("https://m/v2/a", nil)), false},
		"a certificate of the host may be shown":                  {"r.io/a", list(mirror("https://m/v2/a", ofHost)), list(mirror("https://m/v2/a", nil)), true},
		"another certificate than that asked for is never shown":  {"r.io/a", list(mirror("https://m/v2/a", ofHost)), list(mirror("https://m/v2/a", asks)), false},
		"a mirror in the place of the registry is still a mirror": {"r.io/a", list(runtimes.Endpoint{URL: "https://m/v2/a", Kind: runtimes.KindUpstream, ResolvesTags: true}), list(mirror("https://m/v2/a", nil)), false},
	} {
		t.Run(name, func(t *testing.T) {
			ref, err := runtimes.ParseRef(c.ref)
			if err != nil {
				t.Fatal(err)
			}
			if err := runtimes.Obeys(ref, c.got, c.want); (err == nil) != c.obeys {
				t.Errorf("got %v, want obeyed: %t", err, c.obeys)
			}
		})
	}
}

func list(all ...runtimes.Endpoint) []runtimes.Endpoint { return all }

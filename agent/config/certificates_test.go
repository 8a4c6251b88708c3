package config_test

import (
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/config"
)

const days = 24 * time.Hour

// from and until count from today.
func valid(t *testing.T, name string, from, until time.Duration) pair {
	t.Helper()
	return issued(t, name, today().Add(from), today().Add(until))
}

// cut is the PEM of a certificate of which the end is missing, and yet has its END line.
func cut(t *testing.T, cert string) string {
	t.Helper()
	block, _ := pem.Decode([]byte(cert))
	return string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes[:len(block.Bytes)/2]}))
}

// What a Secret holds is used, or what it held before is: then the message says which object and why.
func TestACAThatCannotBeUsedKeepsTheOneBefore(t *testing.T) {
	good, before := valid(t, "good", -days, 365*days), valid(t, "before", -days, 365*days)
	over, late := valid(t, "over", -365*days, -3*days), valid(t, "late", 2*days, 365*days)
	nearly := valid(t, "nearly", -days, 10*days)
	doc := mirrorConfig("a", "{registries: [{prefix: r.io, mirrors: [{location: 'https://a', ca: {secretRef: {name: ca}}}, {location: 'https://b'}]}]}")
	const unresolved, expired, expiring = "UnresolvedReference", "ExpiredCertificate", "ExpiringCertificate"
	for name, c := range map[string]struct {
		value string
		// first says whether it is used where there never was another, in place whether it takes the place of one that is in force.
		first, inPlace bool
		reason, says   string // where there never was another
	}{
		"one that is fine":                        {good.cert, true, true, "", ""},
		"two that are fine":                       {good.cert + "\n" + before.cert, true, true, "", ""},
		"one with a comment and CRLF":             {"# the authority\r\n" + strings.ReplaceAll(good.cert, "\n", "\r\n"), true, true, "", ""},
		"an empty value":                          {"", false, false, unresolved, "Secret/ca holds nothing in ca.crt, and there was never"},
		"white space":                             {" \n\n", false, false, unresolved, "holds nothing"},
		"something else":                          {"hunter2", false, false, unresolved, "holds no certificate that can be read in ca.crt"},
		"one without its end":                     {good.cert[:len(good.cert)-40], false, false, unresolved, "cut off"},
		"one of which the middle is missing":      {cut(t, good.cert), false, false, unresolved, "cut off"},
		"one with a letter too many":              {strings.Replace(good.cert, "MII", "MI.I", 1), false, false, unresolved, "damaged"},
		"two, the second without its end":         {before.cert + good.cert[:len(good.cert)-40], false, false, unresolved, "cut off"},
		"two, the first cut off":                  {cut(t, before.cert) + good.cert, false, false, unresolved, "cut off"},
		"one with its key":                        {good.cert + good.key, false, false, unresolved, "a private key"},
		"one larger than a bundle ever is":        {strings.Repeat(good.cert, 600), false, false, unresolved, "more than 256 KiB"},
		"one whose time is over":                  {over.cert, true, false, expired, `the certificate of "CN=over" in Secret/ca has ended on 2025-12-29; renew it`},
		"one whose time has not come":             {late.cert, true, false, expired, `"CN=late" in Secret/ca is not valid before 2026-01-03`},
		"one whose time is nearly over":           {nearly.cert, true, true, expiring, `"CN=nearly" in Secret/ca ends on 2026-01-11; renew it before`},
		"one that is over beside one that is not": {over.cert + good.cert, true, true, expired, `"CN=over" in Secret/ca has ended on 2025-12-29, and others beside it have not; take it out`},
		"one to come beside one that is fine":     {good.cert + late.cert, true, true, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := secret("ca", quoted("ca.crt", c.value))
			r := compile(t, config.Options{Now: today()}, doc, in)
			if used := len(r.Intent.Registries[0].Mirrors) == 2; used != c.first || reasons(r) != c.reason || !strings.Contains(fmt.Sprint(r.Problems), c.says) {
				t.Errorf("the first: used %v, %v", used, r.Problems)
			}
			r = compile(t, config.Options{Now: today(), LastGood: map[string][]byte{"Secret/ca/ca.crt": []byte(before.cert)}}, doc, in)
			want := before.cert
			if c.inPlace {
				want = c.value
			} else if reasons(r) != unresolved || !strings.Contains(r.Problems[0].Message, "Secret/ca ") || !strings.Contains(r.Problems[0].Message, "the last good value stays in use") {
				t.Errorf("after another: %v", r.Problems)
			}
			if got := r.Intent.Registries[0].Mirrors[0].TLS.CA; string(got) != want || string(r.References["Secret/ca/ca.crt"]) != want {
				t.Errorf("after another: %s", got)
			}
			if text := fmt.Sprint(r.Problems); strings.Contains(text, "BEGIN") || strings.Contains(text, "hunter2") {
				t.Errorf("shows a value: %s", text)
			}
		})
	}
}

func TestAClientCertificateThatCannotBeUsedKeepsTheOneBefore(t *testing.T) {
	good, other, before := valid(t, "good", -days, 365*days), valid(t, "other", -days, 365*days), valid(t, "before", -days, 365*days)
	over := valid(t, "over", -365*days, -3*days)
	encrypted := "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"
	doc := mirrorConfig("a", "{registries: [{prefix: r.io, mirrors: [{location: 'https://a', clientCert: {secretRef: {name: t}}}, {location: 'https://b'}]}]}")
	for name, c := range map[string]struct {
		cert, key string
		says      string // where the one before is kept
	}{
		"a pair":                              {good.cert, good.key, ""},
		"a pair with its authority after it":  {good.cert + over.cert, good.key, ""},
		"a key of another certificate":        {good.cert, other.key, "holds in tls.key a private key that is encrypted, or not that of the certificate in tls.crt"},
		"a key that is encrypted":             {good.cert, encrypted, "encrypted"},
		"a key that is cut off":               {good.cert, good.key[:60], "holds no private key that can be read in tls.key"},
		"an empty key":                        {good.cert, "", "no private key"},
		"an empty certificate":                {"", good.key, "holds nothing in tls.crt"},
		"a certificate that is cut off":       {cut(t, good.cert), good.key, "cut off"},
		"a key in the certificate's place":    {good.key, good.key, "holds a private key in its tls.crt, which would be there for everybody to read; keep it in tls.key only"},
		"a key after the certificate as well": {good.cert + good.key, good.key, "holds a private key in its tls.crt, which would be there for everybody to read; keep it in tls.key only"},
		"a pair whose time is over":           {over.cert, over.key, `that of "CN=over" has ended on 2025-12-29`},
	} {
		t.Run(name, func(t *testing.T) {
			last := map[string][]byte{"Secret/t/tls.crt": []byte(before.cert), "Secret/t/tls.key": []byte(before.key)}
			r := compile(t, config.Options{Now: today(), LastGood: last}, doc, secret("t", quoted("tls.crt", c.cert, "tls.key", c.key)))
			m := r.Intent.Registries[0].Mirrors[0].TLS
			if c.says == "" {
				if string(m.ClientCert) != c.cert || string(m.ClientKey) != c.key || len(r.Problems) > 0 {
					t.Errorf("it is not used: %v", r.Problems)
				}
				return
			}
			if string(m.ClientCert) != before.cert || string(m.ClientKey) != before.key || reasons(r) != "UnresolvedReference" || !strings.Contains(r.Problems[0].Message, c.says) {
				t.Errorf("got %s: %v", m.ClientCert, r.Problems)
			}
		})
	}
}

// Time alone makes a value that is in use no worse than it is: nothing is left out, and a clock that is wrong for a while leaves no trace.
func TestAClockThatIsWrongChangesNoIntent(t *testing.T) {
	a := valid(t, "a", -days, 365*days)
	doc := mirrorConfig("a", "{registries: [{prefix: r.io, mirrors: [{location: 'https://a', ca: {secretRef: {name: ca}}}]}]}")
	in := secret("ca", quoted("ca.crt", a.cert))
	right := compile(t, config.Options{Now: today()}, doc, in)
	for _, years := range []time.Duration{-10, 10} {
		wrong := compile(t, config.Options{Now: today().Add(years * 365 * days), LastGood: right.References}, doc, in)
		if fmt.Sprintf("%v", wrong.Intent) != fmt.Sprintf("%v", right.Intent) || fmt.Sprint(wrong.References) != fmt.Sprint(right.References) {
			t.Errorf("in %d years: %v", years, wrong.Problems)
		}
		if reasons(wrong) != "ExpiredCertificate" {
			t.Errorf("in %d years it is not said: %v", years, wrong.Problems)
		}
	}
}

func TestAValueThatIsNotValidYetTakesItsPlaceWhenItIs(t *testing.T) {
	before, late := valid(t, "before", -days, 365*days), valid(t, "late", time.Hour, 365*days)
	doc := mirrorConfig("a", "{registries: [{prefix: r.io, mirrors: [{location: 'https://a', ca: {secretRef: {name: ca}}}]}]}")
	last := map[string][]byte{"Secret/ca/ca.crt": []byte(before.cert)}
	now := today()
	for _, want := range []string{before.cert, late.cert} {
		r := compile(t, config.Options{Now: now, LastGood: last}, doc, secret("ca", quoted("ca.crt", late.cert)))
		if got := string(r.Intent.Registries[0].Mirrors[0].TLS.CA); got != want {
			t.Errorf("at %s it is %s", now, got)
		}
		now = r.Turn
	}
}

func TestItIsSaidWhenTheFirstCertificateEnds(t *testing.T) {
	short, long, over := valid(t, "short", -days, 30*days), valid(t, "long", -days, 365*days), valid(t, "over", -365*days, -3*days)
	ca := func(prefix, value string) string {
		return fmt.Sprintf("{prefix: %s, upstream: {ca: {pem: %q}}}", prefix, value)
	}
	client := "{prefix: c.io, upstream: {clientCert: {secretRef: {name: t}}}}"
	pairs := secret("t", quoted("tls.crt", short.cert+over.cert, "tls.key", short.key))
	for name, c := range map[string]struct {
		registries string
		ca, client time.Duration // 0: there is none
		turn       time.Duration
	}{
		"of several uses the first":                  {ca("a.io", long.cert) + "," + ca("b.io", short.cert), 30 * days, 0, 16 * days},
		"of several in a value the first":            {ca("a.io", long.cert+short.cert), 30 * days, 0, 16 * days},
		"one that is over counts for nothing":        {ca("a.io", over.cert+long.cert), 365 * days, 0, 351 * days},
		"unless there is no other":                   {ca("a.io", over.cert) + "," + ca("b.io", short.cert), -3 * days, 0, 16 * days},
		"a client's own, not those of its authority": {client, 0, 30 * days, 16 * days},
		"neither": {"{prefix: a.io, mirrors: [{location: 'https://a'}]}", 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := compile(t, config.Options{Now: today()}, mirrorConfig("a", "{registries: ["+c.registries+"]}"), pairs)
			at := func(d time.Duration) time.Time {
				if d == 0 {
					return time.Time{}
				}
				return today().Add(d)
			}
			if !r.Expiry.CA.Equal(at(c.ca)) || !r.Expiry.Client.Equal(at(c.client)) {
				t.Errorf("got %+v", r.Expiry)
			}
			if turn := at(c.turn); !r.Turn.Equal(turn) && !r.Turn.Equal(turn.Add(time.Second)) {
				t.Errorf("the next to say is at %s, not %s", r.Turn, turn)
			}
		})
	}
}

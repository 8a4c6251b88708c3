package config

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// soon is how long before its end a certificate is worth a note: long enough to have a new one issued and rolled out.
const soon = 14 * 24 * time.Hour

// Expiry says when the first certificate ends that is in use, of each kind: of several authorities in one PEM the first that has not ended
// yet. Where a use has none in force any more, it is when the last one ended. The zero Time: there is none of that kind.
type Expiry struct{ CA, Client time.Time }

// note notes the end of one use of a kind.
func note(first *time.Time, ends time.Time) {
	if !ends.IsZero() && (first.IsZero() || ends.Before(*first)) {
		*first = ends
	}
}

// judge says what a moment makes of certificates. The same value is read once, however many mirrors use it.
type judge struct {
	now  time.Time // zero: nothing is judged
	seen map[string]verdict
	// turn is the first moment after now that makes something else of one of them; zero: none will.
	turn time.Time
}

// verdict is on the certificates of one value. A zero one is on none.
type verdict struct {
	// over and early are the first that has ended and the first that is not valid yet; ending is the one in force that ends first; all
	// may be nil.
	over, early, ending *x509.Certificate
	ends                time.Time // see Expiry
}

// late says that there are certificates and none of them is in force.
func (v verdict) late() bool { return v.ending == nil && (v.over != nil || v.early != nil) }

// authorities judges all certificates of a value.
func (j *judge) authorities(data []byte) verdict { return j.verdict("ca ", data, 0) }

// client judges the first certificate of a value, the client's own. Those after it are for the server to find a way by.
func (j *judge) client(data []byte) verdict { return j.verdict("client ", data, 1) }

func (j *judge) verdict(kind string, data []byte, most int) verdict {
	if j.now.IsZero() || len(data) == 0 {
		return verdict{}
	}
	if v, known := j.seen[kind+string(data)]; known {
		return v
	}
	list, err := certificates(data)
	if err != nil {
		return verdict{}
	}
	if most > 0 {
		list = list[:min(most, len(list))]
	}
	v := j.on(list)
	if j.seen == nil {
		j.seen = map[string]verdict{}
	}
	j.seen[kind+string(data)] = v
	return v
}

func (j *judge) on(list []*x509.Certificate) verdict {
	var v verdict
	var last time.Time
	for _, c := range list {
		for _, t := range []time.Time{c.NotBefore, c.NotAfter.Add(-soon), c.NotAfter} {
			if t.After(j.now) {
				note(&j.turn, t.Add(time.Second)) // both ends are in force still, and have whole seconds (RFC 5280, 4.1.2.5)
			}
		}
		switch {
		case c.NotBefore.After(j.now):
			v.early = first(v.early, c)
		case c.NotAfter.Before(j.now):
			v.over = first(v.over, c)
			if c.NotAfter.After(last) {
				last = c.NotAfter
			}
		case v.ending == nil || c.NotAfter.Before(v.ending.NotAfter):
			v.ending = c
		}
	}
	switch {
	case v.ending != nil:
		v.ends = v.ending.NotAfter
	case v.early != nil:
		v.ends = v.early.NotAfter
	default:
		v.ends = last
	}
	return v
}

func first(c, other *x509.Certificate) *x509.Certificate {
	if c != nil {
		return c
	}
	return other
}

// why says why none is in force; nil where one is, or nothing is judged.
func (v verdict) why() error {
	if !v.late() {
		return nil
	}
	if v.early != nil {
		return fmt.Errorf("holds no certificate that is in force: that of %s is not before %s", quote(v.early.Subject.String()), day(v.early.NotBefore))
	}
	return fmt.Errorf("holds no certificate that is in force: that of %s has ended on %s", quote(v.over.Subject.String()), day(v.over.NotAfter))
}

// note says what a person must know of certificates that are used all the same; none is the zero Problem. where is the value.
func (v verdict) note(now time.Time, where string) runtimes.Problem {
	switch {
	case v.late() && v.early != nil:
		return v.say(runtimes.ExpiredCertificate, "the certificate of %s in %s is not valid before %s; look at this machine's clock, or put the one before beside it", v.early, where, v.early.NotBefore)
	case v.late():
		return v.say(runtimes.ExpiredCertificate, "the certificate of %s in %s has ended on %s; renew it", v.over, where, v.over.NotAfter)
	case v.ending != nil && v.ending.NotAfter.Before(now.Add(soon)):
		return v.say(runtimes.ExpiringCertificate, "the certificate of %s in %s ends on %s; renew it before", v.ending, where, v.ending.NotAfter)
	case v.over != nil:
		return v.say(runtimes.ExpiredCertificate, "the certificate of %s in %s has ended on %s, and others beside it have not; take it out", v.over, where, v.over.NotAfter)
	}
	return runtimes.Problem{}
}

func (v verdict) say(reason runtimes.Reason, format string, c *x509.Certificate, where string, at time.Time) runtimes.Problem {
	return runtimes.Problem{Reason: reason, Message: fmt.Sprintf(format, quote(c.Subject.String()), where, day(at))}
}

// day is a date, and no shorter time: what is told of a certificate must not change while nothing happens.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

package runtimes

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Obeys says how the endpoints that a runtime asks differ from those that are wanted; nil if they do not. Number, order, URL (but for
// ?ns= and the scheme's own port), kind, tags, plain HTTP, verification and headers count; dialTimeout does not, since many runtimes have
// none and lose only time by it. A runtime may trust more than was asked for, and show the upstream a certificate of the owner's: what the
// owner of the host had is carried over. How a runtime verifies a loopback registry by itself is its own affair, as long as nothing was
// asked for. A mirror that is asked by digest only may be missing from the endpoints of a reference by tag, but then all of them are.
func Obeys(ref Ref, got, want []Endpoint) error {
	if len(got) != len(want) && ref.Digest == "" {
		want = slices.DeleteFunc(slices.Clone(want), func(e Endpoint) bool { return !e.ResolvesTags })
	}
	if len(got) != len(want) {
		return fmt.Errorf("%s: the runtime asks %s, wanted is %s", ref, urls(got), urls(want))
	}
	for i, w := range want {
		g := got[i]
		if missing := slices.DeleteFunc(slices.Clone(w.Trust), func(s string) bool { return slices.Contains(g.Trust, s) }); len(missing) > 0 {
			return fmt.Errorf("%s: at %s the runtime does not trust the certificate %.12s", ref, w.URL, missing[0])
		}
		if what := difference(g.as(w, ref), w); what != "" {
			return fmt.Errorf("%s: endpoint %d, %s: %s", ref, i+1, w.URL, what)
		}
	}
	return nil
}

// as is the endpoint, which a runtime asks, with the terms of the wanted one where the difference is none in effect.
func (e Endpoint) as(want Endpoint, ref Ref) Endpoint {
	e.URL, _, _ = strings.Cut(e.URL, "?")
	carried := want.Kind == KindUpstream && want.Identity == ""
	free := carried && len(want.Trust) == 0 && IsLoopback(ref.Registry)
	if free || e.Insecure && (want.PlainHTTP || want.SkipVerify) {
		e.SkipVerify, e.PlainHTTP = want.SkipVerify, want.PlainHTTP
		if hostAndPath(e.URL) == hostAndPath(want.URL) {
			e.URL = want.URL
		}
	}
	if carried || e.OfHost && want.Identity == "" {
		e.Identity = want.Identity
	}
	if withoutPort(e.URL) == withoutPort(want.URL) {
		e.URL = want.URL
	}
	return e
}

// withoutPort is a URL without the port that its scheme has anyhow.
func withoutPort(address string) string {
	port := ":443"
	if strings.HasPrefix(address, "http://") {
		port = ":80"
	}
	scheme, rest, _ := strings.Cut(address, "://")
	host, path, _ := strings.Cut(rest, "/")
	return scheme + "://" + strings.TrimSuffix(host, port) + "/" + path
}

func hostAndPath(address string) string {
	_, rest, _ := strings.Cut(withoutPort(address), "://")
	return rest
}

// difference names the first term in which two endpoints differ, without showing what is secret.
func difference(got, want Endpoint) string {
	for _, term := range []struct {
		name      string
		got, want any
	}{
		{"URL", got.URL, want.URL},
		{"kind", got.Kind, want.Kind},
		{"resolvesTags", got.ResolvesTags, want.ResolvesTags},
		{"plainHTTP", got.PlainHTTP, want.PlainHTTP},
		{"skipVerify", got.SkipVerify, want.SkipVerify},
	} {
		if term.got != term.want {
			return fmt.Sprintf("%s is %v, wanted is %v", term.name, term.got, term.want)
		}
	}
	switch {
	case got.Identity != want.Identity:
		return "another client certificate than wanted"
	case got.Header != want.Header:
		return "other headers than wanted"
	default:
		return ""
	}
}

func urls(all []Endpoint) string {
	out := make([]string, len(all))
	for i, e := range all {
		out[i], _, _ = strings.Cut(e.URL, "?")
	}
	return "[" + strings.Join(out, " ") + "]"
}

// IsLoopback says that a registry is on the node itself, which runtimes by themselves neither verify nor ask by TLS only.
// Source: containerd v2.4.2 core/remotes/docker/resolver.go IsLocalhost.
func IsLoopback(registry string) bool {
	u, err := url.Parse("//" + registry)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}

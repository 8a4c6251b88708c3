package runtimes

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Obeys says how the endpoints that a runtime asks differ from those that are wanted; nil if they do not. Number, order, URL (but for
// ?ns=), kind, tags, plain HTTP, verification and headers count; dialTimeout does not, since many runtimes have none and lose only
// time by it. A runtime may trust more than was asked for, and show the upstream a certificate of the owner's: what the owner of the
// host had is carried over. How a runtime verifies a loopback registry by itself is its own affair, as long as nothing was asked for.
func Obeys(ref Ref, got, want []Endpoint) error {
	if len(got) != len(want) {
		return fmt.Errorf("%s: the runtime asks %s, wanted is %s", ref, urls(got), urls(want))
	}
	for i, w := range want {
		g := got[i]
		if missing := slices.DeleteFunc(slices.Clone(w.Trust), func(s string) bool { return slices.Contains(g.Trust, s) }); len(missing) > 0 {
			return fmt.Errorf("%s: at %s the runtime does not trust the certificate %.12s", ref, w.URL, missing[0])
		}
		g.URL, _, _ = strings.Cut(g.URL, "?")
		if w.Kind == KindUpstream && w.Identity == "" {
			g.Identity = ""
			if len(w.Trust) == 0 && IsLoopback(ref.Registry) {
				g.SkipVerify, g.PlainHTTP, g.URL = w.SkipVerify, w.PlainHTTP, strings.Replace(g.URL, "http://", "https://", 1)
			}
		}
		if what := difference(g, w); what != "" {
			return fmt.Errorf("%s: endpoint %d, %s: %s", ref, i+1, w.URL, what)
		}
	}
	return nil
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

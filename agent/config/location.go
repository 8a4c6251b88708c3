package config

import (
	"net/netip"
	"strings"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// parseLocation reads http(s)://host[:port][/path] into Scheme, Host and Path of a mirror.
func parseLocation(s string) (runtimes.Mirror, *fault) {
	m, path, f := parseURL(s)
	if f != nil {
		return m, f
	}
	path = strings.TrimSuffix(path, "/")
	if path == "" {
		return m, nil
	}
	m.Path = path[1:]
	for segment := range strings.SplitSeq(m.Path, "/") {
		if segment == "v2" {
			return m, faultf(v2Remedy(m), "the path has a v2 in it, and runtimes put their own before the path")
		}
	}
	return m, checkPath(m.Path)
}

// v2Remedy is what was probably meant by a location with a v2 segment: a path behind it is a repository prefix, one before it makes
// an API root.
func v2Remedy(m runtimes.Mirror) string {
	rest, found := strings.CutPrefix(m.Path+"/", "v2/")
	if found {
		return "write location: " + strings.TrimSuffix(m.Base()+"/"+rest, "/")
	}
	return "write apiRoot: " + m.Base() + "/" + m.Path + " instead of location"
}

// parseAPIRoot reads http(s)://host[:port]/path into Scheme, Host and APIRoot of a mirror.
func parseAPIRoot(s string) (runtimes.Mirror, *fault) {
	m, path, f := parseURL(s)
	if f != nil {
		return m, f
	}
	m.APIRoot = strings.TrimSuffix(path, "/")
	if m.APIRoot == "" {
		return m, faultf("write the path as well, such as "+m.Base()+"/artifactory/api/docker/hub/v2, or use location", "%s has no path", quote(s))
	}
	for segment := range strings.SplitSeq(m.APIRoot[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return m, faultf("write the path as the server knows it, without .. and double slashes", "the path is not clean")
		}
	}
	return m, nil
}

// parseURL splits a URL into a mirror with Scheme and Host, and a path that is empty or begins with a slash. What could be a secret
// is never shown.
func parseURL(s string) (m runtimes.Mirror, path string, f *fault) {
	scheme, rest, found := strings.Cut(s, "://")
	if f := notInURL(s); f != nil {
		return m, "", f
	}
	if !found {
		return m, "", faultf("write https://"+s+" or http://"+s, "%s has no scheme", quote(s))
	}
	if scheme != "https" && scheme != "http" {
		return m, "", faultf("write https:// or http://, in lower case", "the scheme %s is not known", quote(scheme))
	}
	host := rest
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if f := checkHostPort(host); f != nil {
		return m, "", f
	}
	m.Scheme, m.Host = scheme, canonicalHost(host)
	if m.Host == "docker.io" {
		return m, "", faultf("write "+scheme+"://registry-1.docker.io", "docker.io is a name in references; no registry answers there")
	}
	return m, path, nil
}

// notInURL refuses the parts of a URL that no runtime passes on.
func notInURL(s string) *fault {
	switch {
	case s == "":
		return faultf("write one such as https://harbor.example.com/hub", "is empty")
	case strings.Contains(s, "@"):
		return faultf("use auth", "has a user name or a password in it")
	case strings.ContainsAny(s, "?#"):
		return faultf("write the URL without ? and # and what follows; use headers or auth for what it said", "has a query or a fragment")
	case len(s) > maxURL:
		return faultf("shorten it", "is longer than %d characters", maxURL)
	case strings.Contains(s, "%"):
		return faultf("write the path without escapes, and an IPv6 address without a zone", "%s has a %% in it", quote(s))
	}
	return strange(s)
}

// canonicalHost is host[:port] in lower case, with an IPv6 address in its shortest form.
func canonicalHost(s string) string {
	if inside, after, found := strings.Cut(s, "]"); found {
		if address, err := netip.ParseAddr(strings.TrimPrefix(inside, "[")); err == nil {
			return "[" + address.String() + "]" + after
		}
	}
	return strings.ToLower(s)
}

// sameRoot is an API root in a form in which two that mean the same are equal: without the scheme's own port.
func sameRoot(m runtimes.Mirror) string {
	port := ":443"
	if m.Scheme == "http" {
		port = ":80"
	}
	if host := strings.TrimSuffix(m.Host, port); host != m.Host && !strings.HasSuffix(host, ":") {
		m.Host = host
	}
	return m.Root()
}

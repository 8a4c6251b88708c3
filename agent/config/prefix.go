package config

import (
	"net/netip"
	"strconv"
	"strings"
)

// parsePrefix returns the normal form of a registry prefix: host[:port][/path] or "*", with Docker Hub as docker.io. The host's case
// is kept, since runtimes compare it exactly.
func parsePrefix(s string) (string, *fault) {
	if s == "*" {
		return s, nil
	}
	if f := strange(s); f != nil {
		return "", f
	}
	if f := misread(s); f != nil {
		return "", f
	}
	host, path, hasPath := strings.Cut(s, "/")
	if f := bare(s, host, path); f != nil {
		return "", f
	}
	if f := checkHostPort(host); f != nil {
		return "", f
	}
	if hasPath {
		if f := checkPrefixPath(path); f != nil {
			return "", f
		}
	}
	if host == "index.docker.io" {
		return "docker.io" + s[len(host):], nil // as references are normalised (distribution/reference normalize.go)
	}
	return s, nil
}

// strange refuses what no part of a prefix or a URL can have. It comes first, because these could break the syntax of the files that
// are written, and because user names, passwords and tokens must not be shown.
func strange(s string) *fault {
	for _, c := range s {
		if c <= ' ' || c >= 0x7f || strings.ContainsRune("\"'`\\<>{}|^", c) {
			return faultf("use plain letters, digits and . - _ : / only", "%s has a character that is not allowed", quote(s))
		}
	}
	return nil
}

// misread refuses what people write because other tools take it.
func misread(s string) *fault {
	scheme, rest, hasScheme := strings.Cut(s, "://")
	switch {
	case s == "":
		return faultf(`write a registry such as quay.io, or "*" for all of them`, "is empty")
	case strings.Contains(s, "@"):
		return faultf("write the name without @ and what follows it", "has a digest or a user name in it")
	case len(s) > maxPrefix:
		return faultf("shorten it", "is longer than %d characters", maxPrefix)
	case hasScheme:
		return faultf("write "+strings.TrimRight(rest, "/"), "has a scheme, %s://", scheme)
	case strings.Contains(s, "*"):
		return faultf(`write an entry for each registry, or "*" for every one without an entry of its own`, "%s is a pattern, which no runtime knows", quote(s))
	case strings.ContainsAny(s, "?#%"):
		return faultf("write host[:port][/path] only", "%s has a character that is not allowed", quote(s))
	case strings.HasSuffix(s, "/"):
		return faultf("write "+strings.TrimRight(s, "/"), "%s ends with a slash", quote(s))
	}
	return nil
}

// bare refuses what a reference takes for an image of Docker Hub: a first part without a dot, a port or an upper-case letter
// (distribution/reference normalize.go).
func bare(s, host, path string) *fault {
	name, port, hasPort := strings.Cut(host, ":")
	if strings.ContainsAny(name, ".[") || name == "localhost" || name != strings.ToLower(name) || strings.Contains(port, ":") {
		return nil
	}
	if _, err := strconv.Atoi(port); hasPort && (err == nil || path != "") {
		return nil
	}
	if path == "" {
		return faultf("write docker.io/library/"+name+", or a registry with a dot or a port", "%s is an image of Docker Hub, not a registry", quote(s))
	}
	return faultf("write docker.io/"+s+", or a registry with a dot or a port", "%s is a name of Docker Hub, not a registry", quote(s))
}

func checkPrefixPath(path string) *fault {
	for segment := range strings.SplitSeq(path, "/") {
		if name, tag, found := strings.Cut(segment, ":"); found {
			return faultf("write the name only, without :"+tag, "%s has a tag", quote(name+":"+tag))
		}
	}
	return checkPath(path)
}

// checkPath checks the segments of a repository name.
func checkPath(path string) *fault {
	for segment := range strings.SplitSeq(path, "/") {
		switch {
		case segment == "":
			return faultf("write one slash between two names", "has an empty part between slashes")
		case segment == "." || segment == "..":
			return faultf("write the path that is meant", "has %s in its path", quote(segment))
		case segment != strings.ToLower(segment):
			return faultf("write "+strings.ToLower(segment)+", if that is its name", "%s has upper-case letters, which no repository has", quote(segment))
		case !component(segment):
			return faultf("use lower-case letters and digits, with one . or _, two __ or dashes between them", "%s is not a part of a repository name", quote(segment))
		}
	}
	return nil
}

// component says whether s is one part of a repository name: lower-case letters and digits, with one dot, one or two underscores,
// or any number of dashes between them (distribution/reference regexp.go, pathComponent).
func component(s string) bool {
	separator := ""
	for i, c := range s {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			if separator != "" && (i == len(separator) || !separates(separator)) {
				return false
			}
			separator = ""
			continue
		}
		separator += string(c)
	}
	return s != "" && separator == ""
}

func separates(s string) bool {
	return s == "." || s == "_" || s == "__" || strings.Trim(s, "-") == ""
}

// checkHostPort checks host[:port], where an IPv6 address stands in brackets.
func checkHostPort(s string) *fault {
	host, port, hasPort := s, "", false
	if inside, after, found := strings.Cut(strings.TrimPrefix(s, "["), "]"); strings.HasPrefix(s, "[") {
		address, err := netip.ParseAddr(inside)
		if !found || err != nil || !address.Is6() || address.Is4In6() || strings.Contains(inside, ".") || address.Zone() != "" || after != "" && after[0] != ':' {
			return faultf("write it as [fd00::1] or [fd00::1]:5000, without a zone", "%s is not an IPv6 address", quote(s))
		}
		host, port, hasPort = "", strings.TrimPrefix(after, ":"), after != ""
	} else if strings.Count(s, ":") > 1 {
		return faultf("put an IPv6 address into brackets: [fd00::1]:5000", "%s has more than one colon", quote(s))
	} else {
		host, port, hasPort = strings.Cut(s, ":")
		if f := checkHost(host); f != nil {
			return f
		}
	}
	if hasPort && !validPort(port) {
		return faultf("write a number from 1 to 65535", "%s is not a port", quote(port))
	}
	return nil
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0' && s[0] != '+'
}

// checkHost checks a host name or an IPv4 address: labels of letters, digits and dashes.
func checkHost(host string) *fault {
	bad := faultf("write a host name such as registry.example.com", "%s is not a host name", quote(host))
	if host == "" || len(host) > 253 {
		return bad
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			return bad
		}
		last = label
	}
	if strings.Trim(last, "0123456789") == "" {
		if address, err := netip.ParseAddr(host); err != nil || !address.Is4() {
			return faultf("write four numbers up to 255", "%s is not an IP address", quote(host))
		}
	}
	return nil
}

package config

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// hostEntry is one entry of spec.hosts: what it wants, but for the addresses of a Service.
type hostEntry struct {
	field   string
	entry   runtimes.HostEntry
	service string // namespace/name; or ""
	wrong   bool
}

// host checks spec.hosts[i].
func (v validator) host(i int, h v1alpha1.HostEntry) hostEntry {
	field := "spec.hosts[" + strconv.Itoa(i) + "]"
	e := hostEntry{field: field}
	e.entry.From = v.claim + " hosts[" + strconv.Itoa(i) + "]"
	e.entry.Names = v.hostNames(field+".names", h.Names)
	switch v.oneOf(field, "service", "addresses") {
	case "service":
		e.service = v.service(field+".service", *h.Service)
	case "addresses":
		e.entry.Addresses = v.addresses(field+".addresses", h.Addresses)
	}
	e.wrong = v.wrong(field)
	return e
}

func (v validator) hostNames(field string, names []string) []string {
	if v.broken(field) || v.missing(field, "write names: [registry.example.com]") {
		return nil
	}
	if len(names) == 0 {
		v.errorf(field, "write names: [registry.example.com]", "is empty")
	}
	var out []string
	for i, name := range names[:v.atMost(field, len(names), maxNames, "write several entries")] {
		at, lower := field+"["+strconv.Itoa(i)+"]", strings.ToLower(name)
		if v.report(at, checkHostName(lower)) {
			continue
		}
		if slices.Contains(out, lower) {
			v.errorf(at, "write it once", "%s is there twice", quote(name))
			continue
		}
		out = append(out, lower)
	}
	return out
}

// checkHostName checks a name for /etc/hosts, in lower case.
func checkHostName(name string) *fault {
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case strings.Contains(name, "*"):
		return faultf("write each name out", "%s is a pattern, which /etc/hosts does not know", quote(name))
	case strings.HasSuffix(name, "."):
		return faultf("write "+strings.TrimRight(name, "."), "%s ends with a dot", quote(name))
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		return faultf("use letters, digits, - and . only, at most 253", "%s is not a host name", quote(name))
	case strings.Trim(last, "0123456789") == "":
		return faultf("write a name here and the address under addresses", "%s looks like an IP address", quote(name))
	case last == "localhost" || strings.HasPrefix(name, "localhost.") || strings.HasPrefix(name, "ip6-"):
		return faultf("choose another name", "%s belongs to the node itself", quote(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) > 63 {
			return faultf("shorten it", "%s has a part of more than 63 characters", quote(name))
		}
	}
	return nil
}

// addresses returns the canonical forms, at most one of each family.
func (v validator) addresses(field string, addresses []string) []string {
	if len(addresses) == 0 {
		v.errorf(field, "write addresses: [10.1.2.3]", "is empty")
	}
	var out []string
	family := map[bool]string{}
	for i, s := range addresses {
		at := field + "[" + strconv.Itoa(i) + "]"
		address, f := parseAddress(s)
		if v.report(at, f) {
			continue
		}
		if other, twice := family[address.Is4()]; twice {
			v.errorf(at, "keep one; some readers of /etc/hosts use the first only, others all", "is of the same family as %s", other)
			continue
		}
		family[address.Is4()] = address.String()
		out = append(out, address.String())
	}
	return out
}

func parseAddress(s string) (netip.Addr, *fault) {
	address, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return address, faultf("write one such as 10.1.2.3 or fd00::1, without a port", "%s is not an IP address", quote(s))
	case address.Is4In6():
		return address, faultf("write "+address.Unmap().WithZone("").String(), "%s is an IPv4 address written as IPv6", quote(s))
	case address.Is6() && strings.Contains(s, "."):
		return address, faultf("write "+address.WithZone("").String(), "%s mixes the two ways of writing an address", quote(s))
	case address.Zone() != "":
		return address, faultf("write "+address.WithZone("").String(), "%s has a zone", quote(s))
	}
	if address.IsUnspecified() || address.IsMulticast() {
		return address, faultf("write the address of one host", "%s is not the address of one host", quote(s))
	}
	return address, nil
}

// service returns namespace/name.
func (v validator) service(field string, s v1alpha1.ServiceReference) string {
	for _, part := range [][2]string{{".namespace", s.Namespace}, {".name", s.Name}} {
		name, value := part[0], part[1]
		if !v.broken(field+name) && !v.missing(field+name, "write it; a Service has both a namespace and a name") && len(validation.IsDNS1123Label(value)) > 0 {
			v.errorf(field+name, "use lower-case letters, digits and - only, at most 63", "%s is not a name that a Service can have", quote(value))
		}
	}
	if at := field + ".port"; v.has(at) && !v.broken(at) && (s.Port < 1 || s.Port > 65535) {
		v.errorf(at, "write a number from 1 to 65535", "%d is not a port", s.Port)
	}
	return s.Namespace + "/" + s.Name
}

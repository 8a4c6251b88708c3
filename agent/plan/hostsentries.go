package plan

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/txn2/txeh"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// entries are those that belong into our block, and what keeps others out. A name that the owner of the host has mapped stays his; of a
// name whose wish is held, the block keeps what it has.
func (f hostsParts) entries(intent runtimes.Intent) ([]runtimes.HostEntry, []runtimes.Problem) {
	wanted := map[string]bool{}
	for _, e := range intent.Hosts {
		for _, name := range e.Names {
			wanted[name] = true
		}
	}
	theirs, problems := f.theirs(wanted), f.managed()
	out := f.kept(intent.HeldHosts)
	for _, e := range intent.Hosts {
		entry := e
		entry.Names = nil
		for _, name := range e.Names {
			switch m, mapped := theirs[name]; {
			case !mapped:
				entry.Names = append(entry.Names, name)
			case !m.same(e.Addresses):
				problems = append(problems, m.conflict(name, e))
			}
		}
		if len(entry.Names) > 0 {
			out = append(out, entry)
		}
	}
	slices.SortFunc(out, func(a, b runtimes.HostEntry) int { return strings.Compare(a.Names[0], b.Names[0]) })
	return out, problems
}

// mapping is what the owner of the host has for a name.
type mapping struct {
	addresses []string // canonical, each once
	line      int      // of the first, from 1
}

// theirs are the mappings of the wanted names outside of our block. Lines that no resolver takes for a mapping are none; of several
// lines all count, as they do for Go's resolver (net/hosts.go), while glibc takes the first of each family (nss_files).
func (f hostsParts) theirs(wanted map[string]bool) map[string]mapping {
	out := map[string]mapping{}
	n := 0
	for _, part := range [][]byte{f.before, f.block, f.after} {
		ours := len(part) > 0 && len(f.block) > 0 && &part[0] == &f.block[0]
		for _, line := range lines(part) {
			n++
			address, names := hostsMapping(line)
			if ours || address == "" {
				continue
			}
			for _, name := range names {
				if name = strings.TrimSuffix(name, "."); wanted[name] {
					out[name] = out[name].and(address, n)
				}
			}
		}
	}
	return out
}

// hostsMapping is what a line maps, names in lower case; no address for a line that maps nothing.
func hostsMapping(line []byte) (address string, names []string) {
	if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
		return "", nil
	}
	parsed, err := txeh.ParseHostsFromString(string(line))
	if err != nil || len(parsed) != 1 || parsed[0].LineType != txeh.ADDRESS {
		return "", nil
	}
	ip, err := netip.ParseAddr(parsed[0].Address)
	if err != nil {
		return "", nil
	}
	return ip.String(), parsed[0].Hostnames
}

func (m mapping) and(address string, line int) mapping {
	if m.line == 0 {
		m.line = line
	}
	if !slices.Contains(m.addresses, address) {
		m.addresses = append(m.addresses, address)
	}
	return m
}

// same says that the owner has mapped the name as it is wanted.
func (m mapping) same(addresses []string) bool {
	return len(m.addresses) == len(addresses) && !slices.ContainsFunc(addresses, func(a string) bool { return !slices.Contains(m.addresses, a) })
}

func (m mapping) conflict(name string, e runtimes.HostEntry) runtimes.Problem {
	return runtimes.Problem{Registry: runtimes.HostsFile, Reason: runtimes.Conflict, From: e.From, Message: fmt.Sprintf(
		"line %d maps %s to %s already and is kept; remove it there to have %s, or the name from %s",
		m.line, name, strings.Join(m.addresses, " and "), strings.Join(e.Addresses, " and "), e.From)}
}

// kept are the entries that the block has for names, as they would be written again.
func (f hostsParts) kept(names []string) []runtimes.HostEntry {
	var out []runtimes.HostEntry
	for _, line := range lines(f.block) {
		address, has := hostsMapping(line)
		has = slices.DeleteFunc(has, func(name string) bool { return !slices.Contains(names, name) })
		if address == "" || len(has) == 0 {
			continue
		}
		if last := len(out) - 1; last >= 0 && slices.Equal(out[last].Names, has) {
			out[last].Addresses = append(out[last].Addresses, address)
		} else {
			out = append(out, runtimes.HostEntry{Names: has, Addresses: []string{address}})
		}
	}
	return out
}

// managers are programs that write a hosts file anew as a whole, by what is to be found in it then.
var managers = []struct{ mark, message string }{
	// cloud-init templates/hosts.*.tmpl.
	{"manage_etc_hosts", "cloud-init writes this file anew at every boot (manage_etc_hosts), and the entries are put back when the agent has started; " +
		"put them into /etc/cloud/templates as well to have them from the first moment"},
	// Kubernetes pkg/kubelet/kubelet_pods.go managedHostsHeader, and the one for the host network.
	{"# Kubernetes-managed hosts file", "this is the hosts file of a Pod, made by the kubelet, and not the node's: no runtime reads it; " +
		"give the agent the node's root folder with --root"},
}

// managed tells of another program that has this file.
func (f hostsParts) managed() []runtimes.Problem {
	for _, m := range managers {
		if bytes.Contains(f.before, []byte(m.mark)) || bytes.Contains(f.after, []byte(m.mark)) {
			return []runtimes.Problem{{Registry: runtimes.HostsFile, Reason: runtimes.ManagedHosts, From: runtimes.HostsFile, Message: m.message}}
		}
	}
	return nil
}

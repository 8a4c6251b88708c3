package lab

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
)

// Network is a bridge with addresses for whatever listens. They are none of 127.0.0.0/8, to which runtimes grant plain HTTP and
// unverified TLS. It lives in the network namespace that Enter made, so the machine's own network never sees it.
type Network struct {
	bridge string
	last   netip.Addr
	subnet netip.Prefix
	ranges byte   // how many service ranges are taken
	via    string // an address by which machines reach those that Add made
}

// firstRange is where the service ranges begin, of rangeSize addresses each, as the last byte of an address.
const firstRange, rangeSize = 128, 32

// NewNetwork makes a bridge with a subnet of its own. The kernel refuses a name that is taken, so labs side by side do not meet.
func NewNetwork() (*Network, error) {
	if !inside() {
		return nil, ErrOutside
	}
	for range 100 {
		a, b := byte(rand.IntN(256)), byte(rand.IntN(256))
		n := &Network{
			bridge: fmt.Sprintf("lab%d.%d", a, b),
			subnet: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, a, b, 0}), 24),
		}
		n.last = n.subnet.Addr()
		err := ip("link", "add", n.bridge, "type", "bridge")
		if err == nil {
			return n, ip("link", "set", n.bridge, "up")
		}
		if !strings.Contains(err.Error(), "File exists") {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no name is left for a bridge")
}

// Address returns an address that nobody had before.
func (n *Network) Address() (string, error) {
	address, err := n.next()
	if err != nil {
		return "", err
	}
	return address, n.Add(address)
}

// next returns an address that nobody had before, and does not make it.
func (n *Network) next() (string, error) {
	n.last = n.last.Next()
	if n.last.As4()[3] >= firstRange {
		return "", fmt.Errorf("subnet %s is used up", n.subnet)
	}
	return n.last.String(), nil
}

// router returns the address of the bridge by which a machine reaches those of its addresses that are in no subnet of the machine's.
func (n *Network) router() (string, error) {
	if n.via != "" {
		return n.via, nil
	}
	var err error
	n.via, err = n.Address()
	return n.via, err
}

// serviceRange returns a part of the subnet that nobody had before, for the services of an API server. None of its addresses is there
// until somebody adds it; then whoever is in the network reaches it, as a Service is reached where a kube-proxy runs.
func (n *Network) serviceRange() (netip.Prefix, error) {
	first := n.subnet.Addr().As4()
	from := firstRange + int(n.ranges)*rangeSize
	if from+rangeSize > 256 {
		return netip.Prefix{}, fmt.Errorf("subnet %s has no room for the services of another API server", n.subnet)
	}
	n.ranges++
	first[3] = byte(from)
	return netip.PrefixFrom(netip.AddrFrom4(first), 27), nil
}

// Add makes an address that the caller chose, such as 172.18.0.20, one of the network's.
func (n *Network) Add(address string) error {
	bits := "/24"
	if strings.Contains(address, ":") {
		bits = "/64"
	}
	args := []string{"addr", "replace", address + bits, "dev", n.bridge}
	if bits == "/64" {
		args = append(args, "nodad") // else the address cannot be bound for a second or two
	}
	return ip(args...)
}

// Close takes the bridge away, and its addresses with it.
func (n *Network) Close() error { return ip("link", "del", n.bridge) }

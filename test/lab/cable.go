package lab

import (
	"fmt"
	"strings"
)

// connect lays the cable from the machine to the lab's bridge.
func (m *Machine) connect() error {
	gateway, err := m.network.router()
	if err != nil {
		return err
	}
	err = ip("link", "add", m.port(), "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(m.init.Process.Pid))
	if err != nil {
		return err
	}
	if err := ip("link", "set", m.port(), "master", m.network.bridge, "up"); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"addr", "add", m.Address + "/24", "dev", "eth0"}, {"link", "set", "eth0", "up"}, {"route", "add", "default", "via", gateway},
	} {
		if out, err := m.Run("ip", args...); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	return nil
}

// port is the lab's end of the cable, such as m.1.2.3: the kernel allows 15 bytes.
func (m *Machine) port() string { return "m" + strings.TrimPrefix(m.Address, "10") }

// Unplug takes the machine off the network: what it sends is lost, and nobody tells it so. Its connections stay open at both ends.
func (m *Machine) Unplug() error { return ip("link", "set", m.port(), "down") }

// Plug puts the machine back on the network.
func (m *Machine) Plug() error { return ip("link", "set", m.port(), "up") }

// disconnect takes the cable away. Where the kernel was faster, it is gone with the machine's end.
func (m *Machine) disconnect() error {
	if err := ip("link", "del", m.port()); err != nil && !strings.Contains(err.Error(), "Cannot find device") {
		return err
	}
	return nil
}

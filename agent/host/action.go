package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/mirrorlet/mirrorlet/agent/plan"
	"github.com/mirrorlet/mirrorlet/runtimes"
)

// reloadTime is how long a reload may take: crio's is a signal, and done in milliseconds.
const reloadTime = 30 * time.Second

// bus is where systemd is to be found on a host.
const bus = "/run/dbus/system_bus_socket"

// Reload has a daemon that Processes has returned read its files anew: by a job of systemd for the daemon's unit, and where there is no
// systemd, no unit, or no such job for it, by SIGHUP. It returns when the job is done, or the signal is sent; what the daemon then makes
// of its files, neither tells. Only who knows the runtime knows that SIGHUP does not end it.
func (h *Host) Reload(ctx context.Context, process runtimes.Process) error {
	if !h.Running(process) {
		return fmt.Errorf("process %d has ended", process.PID)
	}
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	job := h.reloadUnit(ctx, h.unit(process.PID))
	if !errors.Is(job, errNoJob) {
		return job
	}
	if err := h.hangUp(process); err != nil {
		return fmt.Errorf("%w; and process %d got no SIGHUP: %w", job, process.PID, err)
	}
	return nil
}

// errNoJob says that systemd has made no job, and why is in the same error.
var errNoJob = errors.New("systemd does not reload it")

// jobless are the answers of systemd, and of a bus without it, after which no job will ever be made. Others may be otherwise the next time.
// Source: systemd src/libsystemd/sd-bus/bus-common-errors.h.
var jobless = map[string]bool{
	"org.freedesktop.systemd1.NoSuchUnit":           true,
	"org.freedesktop.systemd1.JobTypeNotApplicable": true, // the unit has no ExecReload
	"org.freedesktop.DBus.Error.ServiceUnknown":     true,
	"org.freedesktop.DBus.Error.NameHasNoOwner":     true,
	"org.freedesktop.DBus.Error.AccessDenied":       true,
	"org.freedesktop.DBus.Error.Spawn.ChildExited":  true, // a bus without systemd runs its stand-in, /bin/false
}

// reloadUnit has systemd reload a unit and waits for the job's result. A connection is made for each job: none outlives a restart of the
// bus (coreos/go-systemd#399).
func (h *Host) reloadUnit(ctx context.Context, unit string) error {
	if unit == "" {
		return fmt.Errorf("%w: no unit of systemd runs it", errNoJob)
	}
	conn, err := systemd.NewConnection(func() (*dbus.Conn, error) { return connect(ctx, h.full(bus)) })
	if err != nil {
		return fmt.Errorf("%w: connect to %s: %w", errNoJob, bus, reason(err))
	}
	defer conn.Close()
	result := make(chan string, 1) // the sender holds a lock
	_, err = conn.ReloadUnitContext(ctx, unit, "fail", result)
	var answer dbus.Error
	switch {
	case errors.As(err, &answer) && jobless[answer.Name]:
		return fmt.Errorf("%w: %s: %w", errNoJob, unit, err)
	case err != nil:
		return fmt.Errorf("reload %s: %w", unit, err)
	}
	select {
	case r := <-result:
		if r != "done" {
			return fmt.Errorf("reload %s: the job's result is %q; see journalctl -u %s", unit, r, unit)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("reload %s: the job has no result: %w", unit, ctx.Err())
	}
}

// connect connects to a bus as who we are. The connection ends with the context at the latest.
func connect(ctx context.Context, socket string) (*dbus.Conn, error) {
	conn, err := dbus.Dial("unix:path="+dbus.EscapeBusAddressValue(socket), dbus.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	err = conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))})
	if err == nil {
		err = conn.Hello()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// unit is the system's service that runs a process; "" for none.
func (h *Host) unit(pid int) string {
	cgroups, _ := os.ReadFile(h.full(fmt.Sprintf("/proc/%d/cgroup", pid)))
	return unitOf(string(cgroups))
}

// unitOf finds the service in a process's cgroups (cgroups(7), /proc/PID/cgroup): the innermost of the hierarchy that systemd keeps, which
// is named so, or numbered 0. What runs below a user's own systemd is that one's, and not the system's.
func unitOf(cgroups string) string {
	unit := ""
	for line := range strings.Lines(cgroups) {
		number, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		named := controllers == "name=systemd"
		if !named && number != "0" || unit != "" && !named {
			continue
		}
		for part := range strings.SplitSeq(path, "/") {
			if strings.HasPrefix(part, "user@") {
				unit = ""
				break
			}
			if strings.HasSuffix(part, ".service") {
				unit = part
			}
		}
	}
	return unit
}

// hangUp sends SIGHUP to a process, and to no other that has got its number since.
func (h *Host) hangUp(process runtimes.Process) error {
	pid, err := h.numberHere(process.PID)
	if err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	send := func() error { return unix.PidfdSendSignal(fd, unix.SIGHUP, nil, 0) }
	switch {
	case errors.Is(err, unix.ENOSYS): // before Linux 5.3
		send = func() error { return unix.Kill(pid, unix.SIGHUP) }
	case err != nil:
		return err
	default:
		defer func() { _ = unix.Close(fd) }()
	}
	if !h.Running(process) {
		return errors.New("it has ended")
	}
	return send()
}

// numberHere is the number that a process of the host has for us. In another PID namespace, as in a Pod without hostPID, it has none, or
// its number there is somebody else's.
func (h *Host) numberHere(pid int) (int, error) {
	dir := h.proc().of(pid)
	its, err := os.Readlink(dir + "/ns/pid")
	if err != nil {
		return 0, reason(err)
	}
	ours, err := os.Readlink("/proc/self/ns/pid")
	if err != nil || its != ours {
		return 0, errors.New("it is in another PID namespace than this process")
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return 0, reason(err)
	}
	for line := range strings.Lines(string(status)) {
		if numbers, found := strings.CutPrefix(line, "NSpid:"); found { // the last is that of its own namespace (proc_pid_status(5))
			all := strings.Fields(numbers)
			return strconv.Atoi(all[len(all)-1])
		}
	}
	return 0, errors.New("its number in its PID namespace is not known")
}

// Moment is the present, in the life of the machine. It has no Boot where the host has no /proc.
func (h *Host) Moment() plan.Moment {
	return plan.Moment{Boot: h.boot(), Since: int64(Uptime()*userHZ/time.Second) + 1}
}

func (h *Host) boot() string {
	id, _ := os.ReadFile(h.full("/proc/sys/kernel/random/boot_id"))
	return strings.TrimSpace(string(id))
}

// StartedSince says that a process which Processes has returned started after a moment, as far as that can be told.
func (h *Host) StartedSince(process runtimes.Process, m plan.Moment) bool {
	boot, began := h.boot(), h.began[process.PID]
	return m.Boot != "" && boot != "" && (boot != m.Boot || began > m.Since)
}

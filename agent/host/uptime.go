package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// Uptime is how long the machine has been running, time in suspension included. Unlike the time of day, nobody can set it.
func Uptime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // there since Linux 2.6.39
	return time.Duration(t.Nano())
}

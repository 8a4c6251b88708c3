package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Disk is an ext4 file system on an image file, of which the power can be cut. Nothing reaches it by itself: the journal is committed
// every 300 s.
type Disk struct {
	image, at string
	top       *os.File // of the mounted file system
}

// diskSize, in bytes, leaves room for a host and a journal.
const diskSize = 16 << 20

// NewDisk makes an empty disk of an image that is not there yet. It is to be mounted at a folder.
func NewDisk(image, at string) (*Disk, error) {
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(image, diskSize); err != nil {
		return nil, err
	}
	return &Disk{image: image, at: at}, command("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=1", image)
}

// Copy is a disk with the same content, which must not be mounted now.
func (d *Disk) Copy(image, at string) (*Disk, error) {
	return &Disk{image: image, at: at}, command("cp", "--sparse=always", d.image, image)
}

// Host is the folder of the disk for a host; what mkfs has made stands beside it.
func (d *Disk) Host() string { return filepath.Join(d.at, "host") }

// Mount makes the disk ready. After a cut, the kernel repairs it from its journal, as it does when a machine starts.
func (d *Disk) Mount() (err error) {
	if err := command("mount", "-t", "ext4", "-o", "loop,commit=300", d.image, d.at); err != nil {
		return err
	}
	d.top, err = os.Open(d.at)
	return err
}

// Unmount takes it away, with whatever has not been cut off written to it. A process that another worker starts at this moment holds
// our open files for an instant after it has begun to run its program (the kernel's begin_new_exec lets the parent go on before it closes
// them), and nothing tells when that is over; so it tries again for a while.
func (d *Disk) Unmount() error {
	if d.top == nil {
		return nil
	}
	err := d.top.Close()
	d.top = nil
	for late := time.Now().Add(busy); ; time.Sleep(time.Millisecond) {
		if e := unix.Unmount(d.at, 0); e != unix.EBUSY || time.Now().After(late) {
			return errors.Join(err, e)
		}
	}
}

// busy is far longer than an instant.
const busy = 5 * time.Second

// Sync makes everything that was written until now last.
func (d *Disk) Sync() error { return unix.Syncfs(int(d.top.Fd())) }

// What is done with the journal when the power goes (the kernel's fs/ext4/ext4.h: EXT4_GOING_FLAGS_LOGFLUSH and NOLOGFLUSH).
const (
	journalFlushed uint32 = 1 // names and sizes of now are there afterwards, content of files perhaps not
	journalLost    uint32 = 2 // nothing is there that was not synced
)

// shutdown is the request EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32).
const shutdown = 0x8004587d

// Cut cuts the power: what is in memory only never reaches the disk, and every later access fails.
func (d *Disk) Cut(journal uint32) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, d.top.Fd(), shutdown, uintptr(unsafe.Pointer(&journal))); errno != 0 {
		return fmt.Errorf("cut the power of %s: %w", d.at, errno)
	}
	return nil
}

// Abort makes the disk read-only for everybody at once, files that are open for writing included, as the kernel does when it meets
// an error on it (the mount option abort of fs/ext4/super.c).
func (d *Disk) Abort() error { return unix.Mount("", d.at, "", unix.MS_REMOUNT, "abort,commit=300") }

func command(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

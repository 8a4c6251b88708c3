package faults

import "golang.org/x/sys/unix"

// none says that a call has no argument of the kind.
const none = -1

// spec says what a system call is about: which of its arguments is the folder that its path starts from, the path, or the open file.
type spec struct {
	name             string
	at, path, file   int
	reads, opensFlag bool // it never changes anything; whether it does stands in the flags after its path
}

func onPath(name string, path int) spec { return spec{name: name, at: none, path: path, file: none} }

func onPathAt(name string, at int) spec { return spec{name: name, at: at, path: at + 1, file: none} }
func onFile(name string) spec           { return spec{name: name, at: none, path: none, file: 0} }
func reading(s spec) spec               { s.reads = true; return s }
func opening(s spec) spec               { s.opensFlag = true; return s }
func (s spec) changes(args [6]uint64) bool {
	return !s.reads && (!s.opensFlag || args[s.path+1]&writing != 0)
}

// writing are the flags of an open that changes something, or is about to.
const writing = unix.O_CREAT | unix.O_WRONLY | unix.O_RDWR | unix.O_TRUNC

// specs are the system calls that touch a file system by name or by open file, as a static program may use them.
var specs = map[uint64]spec{
	unix.SYS_OPEN: opening(onPath("open", 0)), unix.SYS_OPENAT: opening(onPathAt("openat", 0)), unix.SYS_CREAT: onPath("creat", 0),
	unix.SYS_WRITE: onFile("write"), unix.SYS_PWRITE64: onFile("pwrite64"), unix.SYS_WRITEV: onFile("writev"),
	unix.SYS_PWRITEV: onFile("pwritev"), unix.SYS_COPY_FILE_RANGE: {name: "copy_file_range", at: none, path: none, file: 2},
	unix.SYS_SENDFILE: onFile("sendfile"), unix.SYS_FALLOCATE: onFile("fallocate"),
	unix.SYS_TRUNCATE: onPath("truncate", 0), unix.SYS_FTRUNCATE: onFile("ftruncate"),
	unix.SYS_FSYNC: onFile("fsync"), unix.SYS_FDATASYNC: onFile("fdatasync"), unix.SYS_SYNCFS: onFile("syncfs"),
	unix.SYS_RENAME: onPath("rename", 1), unix.SYS_RENAMEAT: onPathAt("renameat", 2), unix.SYS_RENAMEAT2: onPathAt("renameat2", 2),
	unix.SYS_UNLINK: onPath("unlink", 0), unix.SYS_UNLINKAT: onPathAt("unlinkat", 0), unix.SYS_RMDIR: onPath("rmdir", 0),
	unix.SYS_MKDIR: onPath("mkdir", 0), unix.SYS_MKDIRAT: onPathAt("mkdirat", 0),
	unix.SYS_MKNOD: onPath("mknod", 0), unix.SYS_MKNODAT: onPathAt("mknodat", 0),
	unix.SYS_SYMLINK: onPath("symlink", 1), unix.SYS_SYMLINKAT: onPathAt("symlinkat", 1),
	unix.SYS_LINK: onPath("link", 1), unix.SYS_LINKAT: onPathAt("linkat", 2),
	unix.SYS_CHMOD: onPath("chmod", 0), unix.SYS_FCHMOD: onFile("fchmod"), unix.SYS_FCHMODAT: onPathAt("fchmodat", 0),
	unix.SYS_FCHMODAT2: onPathAt("fchmodat2", 0),
	unix.SYS_CHOWN:     onPath("chown", 0), unix.SYS_LCHOWN: onPath("lchown", 0), unix.SYS_FCHOWN: onFile("fchown"),
	unix.SYS_FCHOWNAT: onPathAt("fchownat", 0), unix.SYS_UTIMENSAT: onPathAt("utimensat", 0),
	unix.SYS_SETXATTR: onPath("setxattr", 0), unix.SYS_LSETXATTR: onPath("lsetxattr", 0), unix.SYS_FSETXATTR: onFile("fsetxattr"),
	unix.SYS_FLOCK: reading(onFile("flock")), unix.SYS_READ: reading(onFile("read")), unix.SYS_PREAD64: reading(onFile("pread64")),
	unix.SYS_GETDENTS64: reading(onFile("getdents64")), unix.SYS_FSTAT: reading(onFile("fstat")),
	unix.SYS_STAT: reading(onPath("stat", 0)), unix.SYS_LSTAT: reading(onPath("lstat", 0)), unix.SYS_STATFS: reading(onPath("statfs", 0)),
	unix.SYS_NEWFSTATAT: reading(onPathAt("newfstatat", 0)), unix.SYS_FACCESSAT: reading(onPathAt("faccessat", 0)),
	unix.SYS_READLINK: reading(onPath("readlink", 0)), unix.SYS_READLINKAT: reading(onPathAt("readlinkat", 0)),
	unix.SYS_LGETXATTR: reading(onPath("lgetxattr", 0)), unix.SYS_GETXATTR: reading(onPath("getxattr", 0)),
}

// numbers are those of the calls to stop at.
func numbers(reads bool) []uint64 {
	var out []uint64
	for n, s := range specs {
		if reads || !s.reads {
			out = append(out, n)
		}
	}
	return out
}

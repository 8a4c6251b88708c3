package host

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// versionTime is how long a program may take to say its version; a busy node takes tenths of a second.
const versionTime = 3 * time.Second

// version is the first line of what a program prints when asked for --version, asked once per key; empty if it could not be asked.
// A program that strangers can write is not run.
func (h *Host) version(key, program string) string {
	if v, known := h.versions[key]; known {
		return v
	}
	info, err := os.Stat(program)
	if err != nil || !trusted(info) {
		return ""
	}
	v, err := ask(program)
	if err != nil {
		return "" // and not remembered: a node that is busy now is not so for ever
	}
	h.versions[key] = v
	return v
}

func ask(program string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), versionTime)
	defer cancel()
	var out firstLine
	cmd := exec.CommandContext(ctx, program, "--version")
	cmd.Env, cmd.Dir, cmd.Stdout = []string{}, "/", &out
	cmd.WaitDelay = time.Second // a child of the program may keep the output open
	if err := cmd.Run(); err != nil {
		return "", err
	}
	return strings.TrimSpace(string(out.line)), nil
}

// firstLine keeps the first line written to it, as far as that is of a sane length.
type firstLine struct {
	line []byte
	done bool
}

func (l *firstLine) Write(b []byte) (int, error) {
	line, _, ended := bytes.Cut(b, []byte("\n"))
	if !l.done {
		l.line = append(l.line, line[:min(len(line), 1024-len(l.line))]...)
	}
	l.done = l.done || ended
	return len(b), nil
}

// trusted says that only root, or who we are, can have written a program.
func trusted(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int(st.Uid) == os.Geteuid()) && info.Mode().Perm()&0o022 == 0
}

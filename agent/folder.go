package agent

import (
	"time"

	"github.com/mirrorlet/mirrorlet/agent/config"
	"github.com/mirrorlet/mirrorlet/agent/host"
)

// Folder is a Source: the documents of a folder or a file.
type Folder struct {
	config *host.Config
	now    func() time.Time
	stamp  string
}

// NewFolder returns the documents of an opened folder or file.
func NewFolder(c *host.Config, now func() time.Time) *Folder { return &Folder{config: c, now: now} }

// Read reads all documents.
func (f *Folder) Read() (config.Documents, []config.Error, error) {
	f.stamp = f.config.Stamp(f.now()) // before reading, so that a change in between shows
	documents, errs := config.Read(f.config.FS(), f.config.Name())
	return documents, errs, nil
}

// Unchanged says that no file has changed since Read.
func (f *Folder) Unchanged() bool { return f.stamp != "" && f.stamp == f.config.Stamp(f.now()) }

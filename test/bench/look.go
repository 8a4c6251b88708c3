package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

// file is a hosts.toml that somebody else writes.
type file struct {
	path   string
	events *fsnotify.Watcher
}

// follow looks for changes of the hosts.toml in a folder, which must be there.
func follow(folder string) (*file, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &file{filepath.Join(folder, "hosts.toml"), w}, w.Add(folder)
}

func (f *file) close() error { return f.events.Close() }

// names returns the moment from which the file names a mirror: that of the event after which it is read so. A runtime opens it anew for
// each pull, and so the next one obeys.
func (f *file) names(mirror string) (time.Time, error) {
	late := time.After(patience)
	for {
		select {
		case <-f.events.Events:
			at := time.Now()
			if data, err := os.ReadFile(f.path); err == nil && strings.Contains(string(data), mirror) {
				return at, nil
			}
		case <-late:
			data, err := os.ReadFile(f.path)
			return time.Time{}, fmt.Errorf("%s does not name %s after %s: %q, %v", f.path, mirror, patience, data, err)
		}
	}
}

// told is an object as a watch tells of it.
type told struct {
	at     time.Time
	object struct {
		Metadata metav1.ObjectMeta         `json:"metadata"`
		Status   v1alpha1.MirrorNodeStatus `json:"status"`
	}
}

// feed is a watch of the API server.
type feed struct {
	body  io.ReadCloser
	heard chan told
}

// watch begins at what is there now.
func watch(client *http.Client, url string) (*feed, error) {
	answer, err := client.Get(url + "?watch=1")
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("watch %s: %s", url, answer.Status), answer.Body.Close())
	}
	f := &feed{answer.Body, make(chan told, 1000)}
	go f.read()
	return f, nil
}

func (f *feed) read() {
	defer close(f.heard)
	for d := json.NewDecoder(f.body); ; {
		var event struct{ Object json.RawMessage }
		if d.Decode(&event) != nil {
			return // closed
		}
		heard := told{at: time.Now()}
		if json.Unmarshal(event.Object, &heard.object) == nil {
			f.heard <- heard
		}
	}
}

func (f *feed) close() error { return f.body.Close() }

// until returns the moment at which the first object was told of that is as it should be.
func (f *feed) until(so func(told) bool) (time.Time, error) {
	late := time.After(patience)
	for {
		select {
		case t, more := <-f.heard:
			if !more {
				return time.Time{}, errors.New("the watch has ended")
			}
			if so(t) {
				return t.at, nil
			}
		case <-late:
			return time.Time{}, fmt.Errorf("the API server has not told of it within %s", patience)
		}
	}
}

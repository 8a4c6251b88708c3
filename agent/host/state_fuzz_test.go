package host

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// The states that releases wrote stand in testdata/state, by version. A state of version 1 is read by every later release or refused, and
// never misread: what is accepted means the same when it is written again.
func FuzzAStateIsReadAsItWasWrittenOrRefused(f *testing.F) {
	files, err := filepath.Glob("testdata/state/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		d, err := parseState(content)
		if err != nil {
			return
		}
		settle(d, nil)
		folders(d)
		encoded, err := encodeState(d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseState(encoded)
		if err != nil || !reflect.DeepEqual(again, normal(d)) {
			t.Fatalf("%v: it was\n%+v\nand is\n%+v", err, d, again)
		}
	})
}

// normal is a document as it comes back: an empty list or map is none, and the version the oldest that will do.
func normal(d document) document {
	d.Version = d.version()
	if len(d.Made) == 0 {
		d.Made = nil
	}
	if len(d.Records) == 0 {
		d.Records = nil
	}
	if len(d.References) == 0 {
		d.References = nil
	}
	if len(d.Pending) == 0 {
		d.Pending = nil
	}
	if len(d.PendingNext) == 0 {
		d.PendingNext = nil
	}
	return d
}

func TestTheStatesOfReleasesAreReadOrRefused(t *testing.T) {
	for file, accepted := range map[string]bool{
		"v0.json": false, "v1.json": true, "v1-under-way.json": true, "v1-with-more.json": false, "v1-of-newer-words.json": false, "v2.json": true, "v3.json": false,
		"v1-leads-out.json": false, "v1-twice.json": false,
	} {
		content, err := os.ReadFile("testdata/state/" + file)
		check(t, err)
		if d, err := parseState(content); (err == nil) != accepted {
			t.Errorf("%s: %+v, %v", file, d, err)
		}
	}
}

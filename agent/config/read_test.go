package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/config"
)

// pair is a certificate and its key, in PEM.
type pair struct{ cert, key string }

// authority makes a certificate of its own.
func authority(t *testing.T) pair {
	t.Helper()
	return issued(t, t.Name(), time.Time{}, today().Add(time.Hour))
}

// issued makes one that is valid from a time to a time.
func issued(t *testing.T, name string, from, until time.Time) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
}

// quoted is a mapping of keys to values in flow style.
func quoted(pairs ...string) string {
	var out []string
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, pairs[i]+": "+strconv.Quote(pairs[i+1]))
	}
	return "{" + strings.Join(out, ", ") + "}"
}

func file(data string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(data)} }

func entry(name, prefix string) string {
	return mirrorConfig(name, "{registries: [{prefix: "+prefix+", mirrors: [{location: 'https://m'}]}]}")
}

func TestAFolderIsReadInTheOrderOfItsNames(t *testing.T) {
	fsys := fstest.MapFS{
		"c/b.yaml":       file(entry("x", "b.io") + "---\n# nothing here\n---\n" + entry("y", "c.io")),
		"c/a.yml":        file(entry("z", "a.io")),
		"c/d.json":       file("{\n\t\"apiVersion\": \"mirrorlet.dev/v1alpha1\",\n\t\"kind\": \"MirrorConfig\",\n\t\"metadata\": {\"name\": \"j\"},\n\t\"spec\": {\"registries\": [{\"prefix\": \"d.io\"}]}\n}"),
		"c/empty.yaml":   file(""),
		"c/README.md":    file("{"),
		"c/.x.yaml.swp":  file("{"),
		"c/.hidden.yaml": file("{"),
		"c/sub/x.yaml":   file("{"),
		"c/dir.yaml/x":   file("{"),
	}
	d, errs := config.Read(fsys, "c")
	if got := summary(d.Compile(config.Options{}).Intent); len(errs) > 0 || got != "a.io=https://m/v2 b.io=https://m/v2 c.io=https://m/v2 d.io=" {
		t.Errorf("got %q, %v", got, errs)
	}
	d, errs = config.Read(fsys, "c/b.yaml")
	if got := summary(d.Compile(config.Options{}).Intent); len(errs) > 0 || got != "b.io=https://m/v2 c.io=https://m/v2" {
		t.Errorf("a file: got %q, %v", got, errs)
	}
}

func TestAFolderWithoutDocumentsWantsNothing(t *testing.T) {
	d, errs := config.Read(os.DirFS(t.TempDir()), ".")
	r := d.Compile(config.Options{})
	if len(errs) > 0 || r.Refused || summary(r.Intent) != "" || d.Len() != 0 {
		t.Errorf("got %+v, %v", r, errs)
	}
}

func TestAMountedConfigMapIsReadThroughItsLinks(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "..2026_01"), 0o755),
		os.WriteFile(filepath.Join(dir, "..2026_01", "x.yaml"), []byte(entry("a", "r.io")+"---\nwrong"), 0o644),
		os.Symlink("..2026_01", filepath.Join(dir, "..data")),
		os.Symlink("..data/x.yaml", filepath.Join(dir, "x.yaml")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d, errs := config.Read(os.DirFS(dir), ".")
	if len(errs) != 1 || errs[0].File != "x.yaml" || d.Len() != 1 {
		t.Errorf("got %d documents, %v", d.Len(), errs)
	}
}

func TestALinkIsFollowed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(entry("a", "r.io")), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"x.yaml": "config", "folder.yaml": "."} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if d, errs := config.Read(os.DirFS(dir), "."); len(errs) > 0 || d.Len() != 1 {
		t.Errorf("got %d documents, %v", d.Len(), errs)
	}
}

// failing is a file system in which one file cannot be opened.
type failing struct {
	fstest.MapFS
	name string
}

func (f failing) Open(name string) (fs.File, error) {
	if name == f.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("input/output error")}
	}
	return f.MapFS.Open(name)
}

func TestNotBeingAbleToReadIsAnError(t *testing.T) {
	good := fstest.MapFS{"c/a.yaml": file(entry("a", "r.io")), "c/b.yaml": file("")}
	for _, c := range []struct {
		name string
		fsys fs.FS
		path string
		says string
	}{
		{"a folder that is not there", good, "nowhere", "nowhere: cannot read: file does not exist; make it"},
		{"a file that cannot be opened", failing{good, "c/b.yaml"}, "c", "c/b.yaml: cannot read: input/output error; make it readable"},
		{"a link to nothing", fstest.MapFS{"c/x.yaml": {Data: []byte("gone"), Mode: fs.ModeSymlink}}, "c", "c/x.yaml: cannot read"},
		{"a pipe", fstest.MapFS{"c/x.yaml": {Mode: fs.ModeNamedPipe}}, "c", "is not a regular file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, errs := config.Read(c.fsys, c.path)
			if len(errs) != 1 || !strings.Contains(errs[0].Error(), c.says) || !d.Refused() || !d.Compile(config.Options{}).Refused {
				t.Errorf("got %v", errs)
			}
		})
	}
}

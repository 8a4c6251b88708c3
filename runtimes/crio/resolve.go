package crio

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/pkg/tlsclientconfig"
	"go.podman.io/image/v5/types"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Resolve asks the parser that CRI-O has, containers/image, what it makes of the tree below root, in the way of a daemon of root that
// searches facts.Roots. An error is what fails every pull of the image. A mirror that is blocked is not asked and not among the endpoints.
func (Runtime) Resolve(_ context.Context, facts runtimes.Facts, root string, ref runtimes.Ref) ([]runtimes.Endpoint, error) {
	if len(facts.Roots) == 0 {
		return nil, errors.New("what CRI-O reads is not known: it was started with another place for its registries.conf")
	}
	named, err := parse(ref)
	if err != nil {
		return nil, fmt.Errorf("CRI-O fails every pull of %s: %w", ref, err)
	}
	t := tree{root: root, from: facts.Roots[0], contexts: contexts(root, facts.Roots[0])}
	sources, err := t.sources(named)
	if err != nil {
		return nil, fmt.Errorf("CRI-O fails every pull from %s: %w", ref.Registry, err)
	}
	told, found := lookIn(os.DirFS(root), t.from).find(named.Name()) // where it stands, which the parser does not tell
	var out []runtimes.Endpoint
	for _, s := range sources {
		blocking, err := t.find(s.Reference.Name())
		if err != nil {
			return nil, err
		}
		if blocking != nil && blocking.Blocked {
			continue
		}
		e, err := t.endpoint(s, ref)
		if err != nil {
			return nil, err
		}
		e.From = "CRI-O's default"
		if found {
			e.From = told.whereOf(s.Endpoint.Location)
		}
		out = append(out, e)
	}
	return out, nil
}

// parse reads a reference as CRI-O does: of tag and digest the digest counts.
func parse(ref runtimes.Ref) (reference.Named, error) {
	if ref.Digest != "" {
		ref.Tag = ""
	}
	return reference.ParseNormalizedNamed(ref.String())
}

// tree is a host's, or a staged copy of it.
type tree struct {
	root string
	from string // the first of the daemon's roots
	// contexts are the configurations that count, the last before the others: of one folder each, because the parser would take a second
	// one from the home of this very process.
	contexts []*types.SystemContext
}

// contexts are for the main file and the drop-ins beside it; where those are the system's, root's own drop-ins come after them. Nothing is
// taken from a cache of before. Source: newConfigWrapperWithHomeDir in pkg/sysregistriesv2/system_registries_v2.go of go.podman.io/image
// v5.39.3; cri-o v1.34.0 has containers/image v5.35.0 with the same rules.
func contexts(root, from string) []*types.SystemContext {
	sysregistriesv2.InvalidateCache()
	main := beside(from)
	out := system(root, main, main+".d")
	if main == mainConf {
		out = append(out, system(root, "", userDropIns)...)
	}
	return out
}

// system is one configuration; none where there is no file of it. A main file that is named has to be there, and without a name the parser
// would look into the home of this very process: the first drop-in, which counts again in its turn, takes the place of a missing one.
func system(root, main, folder string) []*types.SystemContext {
	if _, err := os.Stat(filepath.Join(root, main)); main == "" || errors.Is(err, fs.ErrNotExist) {
		names := confNames(os.DirFS(root), folder)
		if len(names) == 0 {
			return nil
		}
		main = filepath.Join(folder, names[0])
	}
	return []*types.SystemContext{{SystemRegistriesConfPath: filepath.Join(root, main), SystemRegistriesConfDirPath: filepath.Join(root, folder)}}
}

// find returns the entry for a name, nil for none: that with the longest prefix, of the last configuration that has it.
func (t tree) find(name string) (*sysregistriesv2.Registry, error) {
	var best *sysregistriesv2.Registry
	for _, c := range t.contexts {
		r, err := sysregistriesv2.FindRegistry(c, name)
		if err != nil {
			return nil, errors.New(strings.ReplaceAll(err.Error(), t.root+"/", "/"))
		}
		if r != nil && (best == nil || len(r.Prefix) >= len(best.Prefix)) {
			best = r
		}
	}
	return best, nil
}

// sources are the places that are asked, with the name of the image there. Source: newImageSource in docker/docker_image_src.go there.
func (t tree) sources(named reference.Named) ([]sysregistriesv2.PullSource, error) {
	r, err := t.find(named.Name())
	if err != nil {
		return nil, err
	}
	if r == nil {
		return []sysregistriesv2.PullSource{{Reference: named}}, nil
	}
	return r.PullSourcesFromReference(named)
}

func (t tree) endpoint(s sysregistriesv2.PullSource, ref runtimes.Ref) (runtimes.Endpoint, error) {
	host := reference.Domain(s.Reference)
	physical := runtimes.Ref{Registry: host, Repository: reference.Path(s.Reference), Tag: ref.Tag, Digest: ref.Digest}
	e := runtimes.Endpoint{
		Kind: runtimes.KindMirror, OfHost: true, ResolvesTags: s.Endpoint.PullFromMirror != sysregistriesv2.MirrorByDigestOnly,
		Insecure: s.Endpoint.Insecure || runtimes.IsLoopback(ref.Registry),
	}
	scheme := "https"
	if e.SkipVerify = e.Insecure; e.Insecure && strings.HasSuffix(host, ":80") {
		scheme, e.PlainHTTP = "http", true
	}
	e.URL = runtimes.ManifestURL(scheme+"://"+runtimes.UpstreamHost(host)+"/v2", physical, e.ResolvesTags)
	if physical.Name() == ref.Name() {
		e.Kind = runtimes.KindUpstream
	}
	tree := os.DirFS(t.root)
	dir := certFolder(tree, host)
	if err := tlsclientconfig.SetupCertificates(filepath.Join(t.root, dir), &tls.Config{MinVersion: tls.VersionTLS12}); err != nil {
		return e, fmt.Errorf("CRI-O fails every pull from %s: %s: %s", host, dir, strings.ReplaceAll(err.Error(), t.root+"/", "/"))
	}
	files := authorities(tree, dir)
	e.CA, e.Trust, e.Identity = strings.Join(files, ", "), trust(tree, files), identity(tree, dir)
	return e, nil
}

// trust returns the digests of all certificates in the files.
func trust(tree fs.FS, files []string) []string {
	var all []byte
	for _, f := range files {
		data, _ := fs.ReadFile(tree, f[1:]) // one that cannot be read has failed the parser, which was asked first
		all = append(append(all, data...), '\n')
	}
	return runtimes.Digests(all)
}

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
)

// keys are what a mirror shows and whom it admits, as the authorities of one generation have issued it.
type keys struct {
	server, clients *lab.CA
	pair            lab.Pair // of a client
}

func newKeys(t *testing.T, generation int) keys {
	t.Helper()
	server, err := lab.NewCA(fmt.Sprintf("authority of mirrors %d", generation))
	must(t, err)
	clients, err := lab.NewCA(fmt.Sprintf("authority of nodes %d", generation))
	must(t, err)
	pair, err := clients.Client("node")
	must(t, err)
	return keys{server, clients, pair}
}

// terms are a ConfigMap with the authorities of all these keys and a Secret with the pair of the last.
func terms(all ...keys) string {
	var authorities strings.Builder
	for _, k := range all {
		authorities.Write(k.server.PEM)
	}
	pair := all[len(all)-1].pair
	return fmt.Sprintf(`---
{apiVersion: v1, kind: ConfigMap, metadata: {name: mirror-ca}, data: {ca.crt: %q}}
---
{apiVersion: v1, kind: Secret, metadata: {name: node}, type: kubernetes.io/tls, stringData: {tls.crt: %q, tls.key: %q}}
`, authorities.String(), pair.Cert, pair.Key)
}

func verified(mirror *lab.Registry) string {
	return fmt.Sprintf(`apiVersion: mirrorlet.dev/v1alpha1
kind: MirrorConfig
metadata: {name: cluster}
spec:
  registries:
  - prefix: %s
    mirrors: [{location: %q, ca: {configMapRef: {name: mirror-ca}}, clientCert: {secretRef: {name: node}}}]
`, site.Registry, mirror.URL())
}

// rotate has the mirror go from one generation of keys to the next, in the order that docs/reference/expiring-certificate.md gives. tell
// brings authorities and the pair of the last to the node.
func rotate(mirror *lab.Registry, from, to keys, pulls pullers, tell func(...keys)) {
	mirror.Admit(from.clients, to.clients)
	tell(from, to)
	pulls.finish() // those that had begun with what was before
	mirror.Show(to.server)
	mirror.Admit(to.clients)
	tell(to)
}

// pullers pull images that only the mirror has, by tag and by digest, without a rest. A pull that asks the registry itself fails, as its CA
// is not known.
type pullers struct {
	all  []puller
	stop context.CancelFunc
}

type puller struct {
	between chan struct{} // offered between two pulls
	well    chan int      // how many pulls were, in the end
}

func pullAll(t *testing.T, s *site.Site) pullers {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	p := pullers{stop: stop}
	for n := range 4 {
		var images []string // of this puller alone, which removes them again
		for i := range 2 {
			name := fmt.Sprintf("library/app-%d-%d", n, i)
			digest, err := s.Mirror.Push(name + ":1")
			must(t, err)
			images = append(images, site.Registry+"/"+name+":1", site.Registry+"/"+name+"@"+digest)
		}
		cri, err := lab.DialCRI(s.Node.Socket)
		must(t, err)
		one := puller{make(chan struct{}), make(chan int, 1)}
		p.all = append(p.all, one)
		go func() {
			defer cri.Close()
			one.pull(ctx, t, cri, images)
		}()
	}
	return p
}

func (p puller) pull(ctx context.Context, t *testing.T, cri *lab.CRI, images []string) {
	well := 0
	once := context.WithoutCancel(ctx) // a pull that has begun is to end
	for i := 0; ctx.Err() == nil; i++ {
		image := images[i%len(images)]
		if _, err := cri.PullImage(once, image, nil); err != nil {
			t.Errorf("pull %d of %s: %v", i, image, err)
		} else {
			well++
		}
		if err := cri.RemoveImage(once, image); err != nil {
			t.Error(err)
		}
		select {
		case p.between <- struct{}{}:
		default:
		}
	}
	p.well <- well
}

// finish waits until every pull that goes on now is over.
func (p pullers) finish() {
	for _, one := range p.all {
		<-one.between
	}
}

// end ends the pulls, and returns how many were well.
func (p pullers) end() int {
	p.stop()
	well := 0
	for _, one := range p.all {
		well += <-one.well
	}
	return well
}

// The mirror's authority, its certificate, whom it admits and what the node shows are exchanged twenty times under pulls.
func TestCertificatesRotateUnderPullsAndNoneFails(t *testing.T) {
	rotations := 20
	if testing.Short() {
		rotations = 2
	}
	for _, d := range []struct{ part, config string }{{"containerd-2.4", configV3 + quiet}, {"containerd-1.7", configV2 + quiet}} {
		t.Run(d.part, func(t *testing.T) {
			s := start(t, d.part, d.config)
			must(t, s.Node.Start())
			now := newKeys(t, 0)
			s.Mirror.Show(now.server)
			s.Mirror.Admit(now.clients)
			write := func(terms string) { must(t, s.Write(verified(s.Mirror)+terms)) }
			write(terms(now))
			a, err := s.Agent()
			must(t, err)
			applied := func() {
				_, err := a.Applied()
				must(t, err)
			}
			applied()

			pulls := pullAll(t, s)
			for generation := 1; generation <= rotations; generation++ {
				next := newKeys(t, generation)
				rotate(s.Mirror, now, next, pulls, func(all ...keys) { write(terms(all...)); applied() })
				now = next
			}
			pulled := pulls.end()
			t.Logf("%d pulls in %d rotations were well", pulled, rotations)
			if pulled < rotations {
				t.Errorf("only %d pulls in %d rotations", pulled, rotations)
			}
			proves(t, s, now)
			_, err = a.Stop()
			must(t, err)
		})
	}
}

// proves checks that pulls depend on the certificates at all.
func proves(t *testing.T, s *site.Site, now keys) {
	t.Helper()
	stranger := newKeys(t, -1)
	_, err := s.Mirror.Push("library/proof:1")
	must(t, err)
	s.Mirror.Admit(stranger.clients)
	if s.Pull("library/proof:1") == nil {
		t.Error("a pull succeeds that shows the mirror a certificate of a stranger")
	}
	s.Mirror.Admit(now.clients)
	s.Mirror.Show(stranger.server)
	if s.Pull("library/proof:1") == nil {
		t.Error("a pull succeeds from a stranger")
	}
	s.Mirror.Show(now.server)
	must(t, s.Pull("library/proof:1"))
}

// has says that what pulls read on the node is of these keys and no others, and that what was before is gone, so that a pull which had
// begun with that has its answer from the mirror by now.
func has(s *site.Site, all []keys) bool {
	files, _ := filepath.Glob(s.Node.Path("/etc/containerd/certs.d/" + site.Registry + "/*.pem"))
	var held strings.Builder
	for _, file := range files {
		content, _ := os.ReadFile(file) // nothing while it is exchanged
		held.Write(content)
	}
	const certificate = "BEGIN CERTIFICATE"
	fresh := all[len(all)-1]
	return len(files) == 3 && strings.Count(held.String(), certificate) == len(all)+1 &&
		strings.Contains(held.String(), string(fresh.server.PEM)) && strings.Contains(held.String(), string(fresh.pair.Cert))
}

// The same from a ConfigMap and a Secret of an API server.
func TestCertificatesOfObjectsRotateUnderPullsAndNoneFails(t *testing.T) {
	c := member(t, "containerd-2.4", configV3+quiet, "mirrorlet.dev/enabled=true")
	now := newKeys(t, 0)
	c.Mirror.Show(now.server)
	c.Mirror.Admit(now.clients)
	apply := func(document string) {
		_, err := c.API.Apply(strings.ReplaceAll(document, "metadata: {name: ", "metadata: {namespace: "+site.Namespace+", name: "))
		must(t, err)
	}
	apply(terms(now))
	_, err := c.API.Apply(verified(c.Mirror))
	must(t, err)
	agent(t, c)
	must(t, c.Obeyed("Proven"))

	pulls := pullAll(t, c.Site)
	for generation := 1; generation <= 3; generation++ {
		next := newKeys(t, generation)
		rotate(c.Mirror, now, next, pulls, func(all ...keys) {
			apply(terms(all...))
			soon(t, "the node has the certificates", func() bool { return has(c.Site, all) })
		})
		now = next
	}
	t.Logf("%d pulls were well", pulls.end())
	proves(t, c.Site, now)

	apply("---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: mirror-ca}, data: {ca.crt: hunter2}}\n")
	must(t, c.Await("{.status.problems[0].reason}", "UnresolvedReference"))
	must(t, c.Pull("library/proof:1"))
	if said, err := c.Show("{.status.problems[0].message}"); err != nil || !strings.Contains(said, "ConfigMap/mirror-ca holds no certificate that can be read in ca.crt; the last good value stays in use") {
		t.Errorf("the report says %q, %v", said, err)
	}
}

package crio_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/probe"
	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/test/lab"
)

func TestPullsByTagAndDigestGoToAMirrorWithAPrivateAuthority(t *testing.T) {
	h := start(t)
	mirror := h.registry(lab.RegistryConfig{})
	tag, err := mirror.Push("hub/library/tag:1")
	must(t, err)
	digest, err := mirror.Push("hub/library/digest:1")
	must(t, err)
	h.run(nil)
	h.want(entry(upstream, runtimes.Always, h.mirror(mirror, "hub")))
	mirror.Log.Clear()
	must(t, h.pull(upstream+"/library/tag:1"))
	must(t, h.pull(upstream+"/library/digest@"+digest))
	if asked(mirror, "hub/library/digest") == 0 {
		t.Error("the mirror was not asked by digest")
	}
	image, err := h.cri.ImageStatus(t.Context(), upstream+"/library/tag:1")
	if err != nil || len(image.GetRepoDigests()) == 0 || image.GetRepoDigests()[0] != upstream+"/library/tag@"+tag {
		t.Errorf("got %v, %v", image, err)
	}
}

// The situation of two registries with one name: two pull-through caches on the host network, the first of Harbor, the second of gcr.io,
// where the same images have another path.
func TestEachOfTheTwoCachesIsUsedWhenTheOtherIsGone(t *testing.T) {
	h := start(t)
	harbor, backup := h.registry(lab.RegistryConfig{}), h.registry(lab.RegistryConfig{})
	first := h.registry(lab.RegistryConfig{Address: "10.10.100.1:35007", Plain: true, Upstream: harbor})
	second := h.registry(lab.RegistryConfig{Address: "10.10.100.2:35007", Plain: true, Upstream: backup})
	for _, name := range []string{"a:1", "b:1", "c:1", "d:1"} {
		_, err := harbor.Push("library/" + name)
		must(t, err)
		_, err = backup.Copy("example-project/"+name, harbor, "library/"+name)
		must(t, err)
	}
	h.run(nil)
	h.want(entry(upstream+"/library", runtimes.Always, h.mirror(first, "library"), h.mirror(second, "example-project")))
	used := func(name string, want *lab.Registry) {
		t.Helper()
		must(t, h.pull(upstream+"/library/"+name+":1"))
		one, two := asked(first, "library/"+name), asked(second, "example-project/"+name)
		if (one > 0) != (want == first) || (two > 0) != (want == second) {
			t.Errorf("%s: the first was asked %d times, the second %d", name, one, two)
		}
	}
	used("a", first)
	must(t, first.Stop())
	used("b", second)
	must(t, first.Start())
	must(t, second.Stop())
	used("c", first)
	must(t, first.Stop())
	if err := h.pull(upstream + "/library/d:1"); err == nil {
		t.Error("with both gone a pull succeeded")
	}
}

func TestTheRegistryItselfIsAskedLastAndByItsOwnAuthority(t *testing.T) {
	h := start(t)
	address, err := h.lab.Network.Address()
	must(t, err)
	up := h.registry(lab.RegistryConfig{Address: address + ":443", Names: []string{upstream}})
	mirror := h.registry(lab.RegistryConfig{})
	_, err = up.Push("library/only-there:1")
	must(t, err)
	h.run(up)
	if err := h.pull(upstream + "/library/only-there:1"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("its authority is known beforehand: %v", err)
	}
	r := entry(upstream, runtimes.Always, h.mirror(mirror, ""))
	r.Upstream.CA = h.lab.CA.PEM
	h.want(r)
	must(t, h.pull(upstream+"/library/only-there:1"))
	if asked(mirror, "library/only-there") == 0 {
		t.Error("the mirror was not asked first")
	}
	r.Mirrors = nil
	_, err = up.Push("library/later:1")
	must(t, err)
	h.want(r)
	must(t, h.pull(upstream+"/library/later:1"))
	if n := asked(mirror, "library/later"); n > 0 {
		t.Errorf("a mirror that was taken away was asked %d times", n)
	}
}

func TestWithoutFallbackTheRegistryIsNeverAsked(t *testing.T) {
	h := start(t)
	address, err := h.lab.Network.Address()
	must(t, err)
	up := h.registry(lab.RegistryConfig{Address: address + ":443", Names: []string{upstream}})
	one, two := h.registry(lab.RegistryConfig{}), h.registry(lab.RegistryConfig{Plain: true})
	_, err = up.Push("library/app:1")
	must(t, err)
	h.run(up)
	h.want(entry(upstream, runtimes.Never, h.mirror(one, ""), h.mirror(two, "x")))
	up.Log.Clear()
	if err := h.pull(upstream + "/library/app:1"); err == nil {
		t.Error("the pull succeeded")
	}
	if n, m := asked(one, "library/app"), asked(two, "x/library/app"); n == 0 || m == 0 {
		t.Errorf("the mirrors were asked %d and %d times", n, m)
	}
	if len(up.Log.Requests()) > 0 {
		t.Errorf("the registry was asked: %+v", up.Log.Requests())
	}
}

func TestAMirrorByDigestOnlyIsNotAskedForATag(t *testing.T) {
	h := start(t)
	byDigest, spare := h.registry(lab.RegistryConfig{}), h.registry(lab.RegistryConfig{})
	digest, err := byDigest.Push("library/app:1")
	must(t, err)
	_, err = spare.Copy("library/app:1", byDigest, "library/app:1")
	must(t, err)
	h.run(nil)
	m := h.mirror(byDigest, "")
	m.DigestOnly = true
	h.want(entry(upstream, runtimes.Always, m, h.mirror(spare, "")))
	byDigest.Log.Clear()
	must(t, h.pull(upstream+"/library/app:1"))
	if n := asked(byDigest, "library/app"); n > 0 {
		t.Errorf("it was asked %d times for a tag", n)
	}
	must(t, h.cri.RemoveImage(t.Context(), upstream+"/library/app:1"))
	must(t, h.pull(upstream+"/library/app@"+digest))
	if asked(byDigest, "library/app") == 0 {
		t.Error("it was not asked for a digest")
	}
}

func TestAClientCertificateIsShownToItsHost(t *testing.T) {
	h := start(t)
	mirror := h.registry(lab.RegistryConfig{ClientCert: true})
	_, err := mirror.Push("library/app:1")
	must(t, err)
	pair, err := h.lab.CA.Client("node")
	must(t, err)
	h.run(nil)
	m := h.mirror(mirror, "")
	h.want(entry(upstream, runtimes.Never, m))
	if err := h.pull(upstream + "/library/app:1"); err == nil {
		t.Error("the pull succeeded without a certificate")
	}
	m.TLS.ClientCert, m.TLS.ClientKey = pair.Cert, pair.Key
	h.want(entry(upstream, runtimes.Never, m))
	must(t, h.pull(upstream+"/library/app:1"))
}

func TestAMirrorThatIsNotVerifiedIsUsed(t *testing.T) {
	h := start(t)
	mirror := h.registry(lab.RegistryConfig{})
	_, err := mirror.Push("library/app:1")
	must(t, err)
	h.run(nil)
	m := h.mirror(mirror, "")
	m.TLS = runtimes.TLS{}
	h.want(entry(upstream, runtimes.Never, m))
	if err := h.pull(upstream + "/library/app:1"); err == nil {
		t.Error("an unknown authority is trusted")
	}
	m.TLS.SkipVerify = true
	h.want(entry(upstream, runtimes.Never, m))
	must(t, h.pull(upstream+"/library/app:1"))
}

func TestTheProofIsTrueAfterTheReloadAndNotBefore(t *testing.T) {
	h := start(t)
	h.run(nil)
	r, err := probe.Listen("127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	const revision, another = "0a1b2c3d4e5f", "f5e4d3c2b1a0"
	ask := func() probe.Answer {
		t.Helper()
		a := r.Ask(t.Context(), h.daemon.Socket, runtimes.ProofName(revision))
		must(t, a.Err)
		return a
	}
	if a := ask(); a.Asked {
		t.Errorf("it asked without any file: %+v", a)
	}
	h.place(runtimes.Proof(revision, r.Address()))
	if a := ask(); a.Asked {
		t.Errorf("it asked before its reload: %+v", a)
	}
	must(t, h.daemon.Reload())
	a := ask()
	if !a.Asked || !strings.HasPrefix(a.Runtime, "cri-o/1.34.0") {
		t.Errorf("after its reload: %+v", a)
	}
	t.Logf("after %s", a.After)
	images, err := h.cri.ListImages(t.Context())
	if err != nil || len(images) > 0 {
		t.Errorf("it keeps of the question: %v, %v", images, err)
	}
	h.want(runtimes.Proof(another, r.Address()))
	if a := ask(); a.Asked {
		t.Errorf("it asked after the revision was taken away: %+v", a)
	}
}

func TestAReloadThatABrokenFileOfTheOwnerStopsIsNotProven(t *testing.T) {
	h := start(t)
	h.run(nil)
	r, err := probe.Listen("127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	broken := filepath.Join(h.daemon.HostRoot(), "etc/containers/registries.conf.d/50-site.conf")
	must(t, os.WriteFile(broken, []byte("[[registry]\n"), 0o644))
	h.place(runtimes.Proof("0a1b2c3d4e5f", r.Address()))
	if err := h.daemon.Reload(); err == nil {
		t.Error("the reload succeeded")
	}
	if a := r.Ask(t.Context(), h.daemon.Socket, runtimes.ProofName("0a1b2c3d4e5f")); a.Asked || a.Err != nil {
		t.Errorf("%+v", a)
	}
	must(t, os.Remove(broken))
	must(t, h.daemon.Reload())
	if a := r.Ask(t.Context(), h.daemon.Socket, runtimes.ProofName("0a1b2c3d4e5f")); !a.Asked {
		t.Errorf("%+v", a)
	}
}

func TestAMirrorOfPlainHTTPNeedsNoPortToBeNamed(t *testing.T) {
	h := start(t)
	address, err := h.lab.Network.Address()
	must(t, err)
	mirror := h.registry(lab.RegistryConfig{Address: address + ":80", Plain: true})
	_, err = mirror.Push("hub/app:1")
	must(t, err)
	h.run(nil)
	m := h.mirror(mirror, "hub")
	m.Host = address
	h.want(entry(upstream, runtimes.Never, m))
	must(t, h.pull(upstream+"/app:1"))
}

func TestAnAuthorityChangesUnderPullsAndNoneFails(t *testing.T) {
	h := start(t)
	mirror := h.registry(lab.RegistryConfig{})
	h.run(nil)
	other, err := lab.NewCA("another")
	must(t, err)
	m := h.mirror(mirror, "")
	h.want(entry(upstream, runtimes.Never, m))
	stop, pulls := make(chan struct{}), make(chan error)
	go func() {
		defer close(pulls)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			name := fmt.Sprintf("rotation:%d", n)
			_, err := mirror.Push(name)
			pulls <- errors.Join(err, h.pull(upstream+"/"+name))
		}
	}()
	n := 0
	for ; n < 30; n++ {
		m.TLS.CA = h.lab.CA.PEM
		if n%2 == 1 {
			m.TLS.CA = append(slices.Clone(other.PEM), h.lab.CA.PEM...)
		}
		if action := h.place(entry(upstream, runtimes.Never, m)); action != runtimes.NoAction {
			t.Fatalf("a certificate asks for a %s", action)
		}
		must(t, <-pulls)
	}
	close(stop)
	for err := range pulls {
		must(t, err)
	}
	t.Logf("%d pulls", n)
}

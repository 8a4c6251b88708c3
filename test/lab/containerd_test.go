package lab_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/parts"
)

// daemons are all containerds of the lab, each with every version of the config file that it reads.
var daemons = []struct {
	part     string
	versions []int
}{
	{"containerd-2.4", []int{2, 3, 4}},
	{"containerd-1.7", []int{2}},
	{"containerd-1.6", []int{2}},
}

func eachContainerd(t *testing.T, test func(t *testing.T, c lab.ContainerdConfig)) {
	for _, d := range daemons {
		for _, version := range d.versions {
			t.Run(fmt.Sprintf("%s with a config of version %d", d.part, version), func(t *testing.T) {
				binary, err := parts.Path(d.part)
				lab.Need(t, err)
				test(t, lab.ContainerdConfig{Binary: binary, Version: version})
			})
		}
	}
}

func containerd(t *testing.T, l *lab.Lab, c lab.ContainerdConfig) *lab.Containerd {
	t.Helper()
	d, err := l.Containerd(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func dial(t *testing.T, d *lab.Containerd) (context.Context, *lab.CRI) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	c, err := lab.DialCRI(d.Socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return ctx, c
}

// write makes a file and the folders above it.
func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAContainerdPullsThroughTheMirrorThatAHostsFileNames(t *testing.T) {
	eachContainerd(t, func(t *testing.T, config lab.ContainerdConfig) {
		l := lab.Start(t)
		mirror := registry(t, l, lab.RegistryConfig{})
		digest := push(t, mirror, "library/app:1")
		d := containerd(t, l, config)
		write(t, d.CertsD+"/cr.example.com/ca.pem", string(l.CA.PEM))
		write(t, d.CertsD+"/cr.example.com/hosts.toml", fmt.Sprintf("[host.'%s']\n  ca = 'ca.pem'\n", mirror.URL()))
		mirror.Log.Clear()

		ctx, cri := dial(t, d)
		version, err := cri.Version(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cri.PullImage(ctx, "cr.example.com/library/app:1", nil); err != nil {
			t.Fatal(err)
		}
		image, err := cri.ImageStatus(ctx, "cr.example.com/library/app:1")
		if err != nil || len(image.GetRepoDigests()) != 1 || image.GetRepoDigests()[0] != "cr.example.com/library/app@"+digest {
			t.Errorf("got %v, %v; want %s", image, err, digest)
		}
		asked := mirror.Log.About("library/app")
		if len(asked) < 4 { // the tag, the manifest, the config and the layer
			t.Errorf("the mirror was asked only for %+v", asked)
		}
		for _, r := range asked {
			if r.Namespace != "cr.example.com" || !strings.HasPrefix(r.UserAgent, "containerd/"+strings.TrimPrefix(version, "v")) {
				t.Errorf("%s %s has ns=%s, agent %s", r.Method, r.Path, r.Namespace, r.UserAgent)
			}
		}
	})
}

func TestAnImageThatIsRemovedIsGoneAndTheOthersStay(t *testing.T) {
	eachContainerd(t, func(t *testing.T, config lab.ContainerdConfig) {
		l := lab.Start(t)
		plain := registry(t, l, lab.RegistryConfig{Plain: true})
		push(t, plain, "a:1")
		push(t, plain, "b:1")
		d := containerd(t, l, config)
		write(t, d.CertsD+"/_default/hosts.toml", fmt.Sprintf("[host.'%s']\n", plain.URL()))
		ctx, cri := dial(t, d)
		for _, image := range []string{"cr.example.com/a:1", "cr.example.com/b:1"} {
			if _, err := cri.PullImage(ctx, image, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := cri.RemoveImage(ctx, "cr.example.com/a:1"); err != nil {
			t.Fatal(err)
		}
		images, err := cri.ListImages(ctx)
		if err != nil || len(images) != 1 || images[0].GetRepoTags()[0] != "cr.example.com/b:1" {
			t.Errorf("got %v, %v", images, err)
		}
	})
}

func TestAContainerdHasAnEtcOfItsOwn(t *testing.T) {
	binary, err := parts.Path("containerd-2.4")
	lab.Need(t, err)
	l := lab.Start(t)
	harbor := registry(t, l, lab.RegistryConfig{Names: []string{"harbor.example.com"}})
	push(t, harbor, "app:1")
	d, err := l.NewContainerd(lab.ContainerdConfig{Binary: binary, ConfigPath: "/etc/containerd/certs.d", Etc: true})
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(harbor.Host(), ":")
	write(t, d.Folder+"/etc/hosts", host+" harbor.example.com\n")
	write(t, d.Folder+"/etc/containerd/certs.d/harbor.example.com:"+port+"/ca.crt", string(l.CA.PEM))
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cri := dial(t, d)
	if _, err := cri.PullImage(ctx, "harbor.example.com:"+port+"/app:1", nil); err != nil {
		t.Error(err)
	}
	inside, err := os.ReadFile(d.HostRoot() + "/etc/hosts")
	if err != nil || string(inside) != host+" harbor.example.com\n" {
		t.Errorf("its /etc/hosts is %q, %v", inside, err)
	}
	if ours, err := os.ReadFile("/etc/hosts"); err != nil || strings.Contains(string(ours), "harbor") {
		t.Errorf("ours is %q, %v", ours, err)
	}
}

func TestAContainerdThatCannotStartSaysWhy(t *testing.T) {
	binary, err := parts.Path("containerd-1.7")
	lab.Need(t, err)
	_, err = lab.Start(t).Containerd(lab.ContainerdConfig{Binary: binary, Version: 3})
	if err == nil || !strings.Contains(err.Error(), "version `3`") {
		t.Errorf("got %v", err)
	}
}

func TestAContainerdStopsAndStartsAgainWithItsImages(t *testing.T) {
	binary, err := parts.Path("containerd-2.4")
	lab.Need(t, err)
	l := lab.Start(t)
	plain := registry(t, l, lab.RegistryConfig{Plain: true})
	push(t, plain, "a:1")
	d := containerd(t, l, lab.ContainerdConfig{Binary: binary})
	write(t, d.CertsD+"/_default/hosts.toml", fmt.Sprintf("[host.'%s']\n", plain.URL()))
	ctx, cri := dial(t, d)
	if _, err := cri.PullImage(ctx, "cr.example.com/a:1", nil); err != nil {
		t.Fatal(err)
	}
	for _, stop := range []func() error{d.Stop, d.Kill} {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if err := d.Start(); err != nil {
			t.Fatal(err)
		}
		if images, err := cri.ListImages(ctx); err != nil || len(images) != 1 {
			t.Errorf("got %v, %v", images, err)
		}
	}
}

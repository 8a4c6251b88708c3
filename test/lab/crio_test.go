package lab_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
)

func TestACRIOPullsThroughTheMirrorOfADropInOnceItHasReloaded(t *testing.T) {
	lab.NeedCRIO(t)
	l := lab.Start(t)
	mirror := registry(t, l, lab.RegistryConfig{Plain: true})
	push(t, mirror, "library/app:1")
	mirror.Log.Clear()
	d, err := l.CRIO("")
	if err != nil {
		t.Fatal(err)
	}
	cri, err := lab.DialCRI(d.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer cri.Close()
	write(t, d.HostRoot()+"/etc/containers/registries.conf.d/a.conf", fmt.Sprintf("[[registry]]\nprefix = 'cr.example.com'\nlocation = '%s'\ninsecure = true\n", mirror.Host()))
	if _, err := cri.PullImage(t.Context(), "cr.example.com/library/app:1", nil); err == nil {
		t.Error("the drop-in counts before a reload")
	}
	if err := d.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := cri.PullImage(t.Context(), "cr.example.com/library/app:1", nil); err != nil {
		t.Fatal(err)
	}
	if len(mirror.Log.About("library/app")) == 0 {
		t.Error("the mirror was not asked")
	}
	write(t, d.HostRoot()+"/etc/containers/registries.conf.d/b.conf", "[[registry]\n")
	if err := d.Reload(); !errors.Is(err, lab.ErrReload) {
		t.Errorf("a reload with a broken drop-in: %v", err)
	}
}

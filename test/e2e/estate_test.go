package e2e_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
)

// canary is the password of the spare mirror, which must be nowhere but in the Secret and in a file that only root reads.
const canary = "canary-5up3r53cr3t"

// estate is a fleet with a registry and two mirrors, and images of two releases of the agent.
type estate struct {
	*site.Fleet
	upstream, mirror, spare *lab.Registry
	program                 v1.Image // one that runs until it is told to end
	before                  map[*lab.Worker]string
	pods                    int
	ca                      []byte // of the registries
}

// settle makes an estate without workers: v1.yaml and v2.yaml install a release each, v1.tar and v2.tar are their images. Agents may
// report of their own node only, by what the kubelet's token says.
func settle(t *testing.T) *estate {
	t.Helper()
	lab.NeedCluster(t, "2.4", "1.7")
	l := lab.Start(t)
	e := &estate{before: map[*lab.Worker]string{}}
	address, err := l.Network.Address()
	must(t, err)
	e.upstream, err = l.Registry(lab.RegistryConfig{Address: address + ":443", Names: []string{site.Registry}})
	must(t, err)
	e.mirror, err = l.Registry(lab.RegistryConfig{})
	must(t, err)
	e.spare, err = l.Registry(lab.RegistryConfig{User: "robot", Password: canary})
	must(t, err)
	e.Fleet = fleet(t, l)
	e.program = programImage(t, l)
	for _, release := range []string{"v1", "v2"} {
		shell(t, e.Fleet, fmt.Sprintf("make --silent image IMAGE=mirrorlet:%[1]s VERSION=%[1]s PLATFORMS=linux/%[2]s OUT=%[1]s.tar", release, runtime.GOARCH))
		shell(t, e.Fleet, fmt.Sprintf("make --silent install.yaml IMAGE=mirrorlet:%[1]s COMPONENTS=own-node && mv install.yaml %[1]s.yaml", release))
	}
	e.ca = l.CA.PEM
	return e
}

// programImage is an image of one program, of which each Pod gets its own.
func programImage(t *testing.T, l *lab.Lab) v1.Image {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pause")
	build := exec.Command("go", "build", "-o", file, "../lab/pause")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	archive, err := l.ProgramImage("lab.invalid/program:1", file)
	must(t, err)
	image, err := tarball.ImageFromPath(archive, nil)
	must(t, err)
	return image
}

// write writes mirrorconfig.yaml: a MirrorConfig that sends pulls to one mirror, and what it refers to.
func (e *estate) write(t *testing.T, mirror string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(e.Clone, "mirrorconfig.yaml"), fmt.Appendf(nil, `apiVersion: mirrorlet.dev/v1alpha1
kind: MirrorConfig
metadata: {name: cluster}
spec:
  registries:
  - prefix: %s
    upstream: {ca: {configMapRef: {name: lab-ca}}}
    mirrors: [%s]
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: lab-ca, namespace: mirrorlet-system}, data: {ca.crt: %q}}
---
{apiVersion: v1, kind: Secret, metadata: {name: robot, namespace: mirrorlet-system}, type: kubernetes.io/basic-auth,
 stringData: {username: robot, password: %s}}
`, site.Registry, mirror, e.ca, canary), 0o644))
}

// theMirror and theSpare are mirrors of a MirrorConfig. The spare wants to know who asks.
func (e *estate) theMirror() string {
	return fmt.Sprintf(`{"location": %q, "ca": {"configMapRef": {"name": "lab-ca"}}}`, e.mirror.URL())
}

func (e *estate) theSpare() string {
	return fmt.Sprintf(`{"location": %q, "ca": {"configMapRef": {"name": "lab-ca"}}, "auth": {"secretRef": {"name": "robot"}}}`, e.spare.URL())
}

// grow adds a worker that has images of both releases, and remembers how it was before any agent was there.
func (e *estate) grow(t *testing.T, config lab.WorkerConfig) *lab.Worker {
	t.Helper()
	host, _, _ := strings.Cut(e.upstream.Host(), ":")
	var before string
	config.Hosts = []string{host + " " + site.Registry}
	w, err := e.Grow(config, func(w *lab.Worker) (err error) {
		for _, archive := range []string{"v1.tar", "v2.tar"} {
			if err := w.Import(filepath.Join(e.Clone, archive)); err != nil {
				return err
			}
		}
		before, err = site.Pristine(w)
		return err
	})
	must(t, err)
	e.before[w] = before
	return w
}

// push pushes a new image to one registry alone, and returns how the cluster calls it.
func (e *estate) push(t *testing.T, to *lab.Registry) (image, repository string) {
	t.Helper()
	e.pods++
	repository = fmt.Sprintf("library/app%d", e.pods)
	config, err := e.program.ConfigFile()
	must(t, err)
	own := config.Config.DeepCopy()
	own.Labels = map[string]string{"repository": repository}
	made, err := mutate.Config(e.program, *own)
	must(t, err)
	_, err = to.PushAs(repository+":1", made)
	must(t, err)
	to.Log.Clear()
	return site.Registry + "/" + repository + ":1", repository
}

// pod runs a Pod whose image is in one registry alone, and fails unless only that registry was asked for it.
func (e *estate) pod(t *testing.T, w *lab.Worker, only *lab.Registry) {
	t.Helper()
	image, repository := e.push(t, only)
	name := filepath.Base(repository)
	_, err := e.Apply(fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: %s},
 spec: {nodeName: %s, hostNetwork: true, terminationGracePeriodSeconds: 1, containers: [{name: app, image: %q}]}}`, name, w.Name, image))
	must(t, err)
	if _, err := e.Kubectl("wait", "--for=condition=Ready", "pod/"+name, "--timeout=60s"); err != nil {
		why, _ := e.Kubectl("describe", "pod", name)
		t.Fatalf("%v\n%s", err, why)
	}
	for what, r := range map[string]*lab.Registry{"upstream": e.upstream, "mirror": e.mirror, "spare": e.spare} {
		if n := site.Asked(r, repository); (n > 0) != (r == only) {
			t.Errorf("%s: the %s was asked %d times", image, what, n)
		}
	}
	_, err = e.Kubectl("delete", "pod", name, "--wait=false")
	must(t, err)
}

// pulling pulls one image from the spare mirror again and again until the function that it returns is called, which says how often.
func (e *estate) pulling(t *testing.T, w *lab.Worker) (stop func() int) {
	t.Helper()
	image, _ := e.push(t, e.spare)
	cri, err := lab.DialCRI(w.Containerd.Socket)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	pulled := make(chan int)
	go func() {
		n, once := 0, context.WithoutCancel(ctx) // a pull that has begun is to end
		for ; ctx.Err() == nil; n++ {
			if _, err := cri.PullImage(once, image, nil); err != nil {
				t.Errorf("pull %d: %v", n, err)
			}
			if err := cri.RemoveImage(once, image); err != nil {
				t.Error(err)
			}
		}
		pulled <- n
	}()
	return func() int {
		defer cri.Close()
		cancel()
		return <-pulled
	}
}

// await waits until a worker's report has a value.
func (e *estate) await(t *testing.T, w *lab.Worker, path, value string) {
	t.Helper()
	report := "mirrornode/" + w.Name
	_, err := e.Kubectl("wait", report, "--for=create", "--timeout=30s")
	if err == nil {
		_, err = e.Kubectl("wait", report, "--for=jsonpath="+path+"="+value, "--timeout=60s")
	}
	if err != nil {
		status, _ := e.Kubectl("get", report, "--output=yaml")
		t.Fatalf("%v\n%s", err, status)
	}
}

const (
	obeyedReason  = `{.status.conditions[?(@.type=="Obeyed")].reason}`
	obeyedMessage = `{.status.conditions[?(@.type=="Obeyed")].message}`
)

// show is a field of an object as JSONPath shows it.
func (e *estate) show(t *testing.T, object, path string) string {
	t.Helper()
	out, err := e.Kubectl("get", "--namespace="+site.Namespace, object, "--output=jsonpath="+path)
	must(t, err)
	return out
}

// agentPod is the name of the agent's Pod on a worker, such as pod/mirrorlet-x2x4f.
func (e *estate) agentPod(t *testing.T, w *lab.Worker) string {
	t.Helper()
	out, err := e.Kubectl("get", "pod", "--namespace="+site.Namespace, "--field-selector=spec.nodeName="+w.Name, "--output=name")
	must(t, err)
	return strings.TrimSpace(out)
}

// written is everything in the folder of mirrors with its inode and the time of its last change. Nobody can set that time, so where this
// is the same twice nothing was replaced, written or removed there in between, however shortly.
func written(t *testing.T, w *lab.Worker) string {
	t.Helper()
	var b strings.Builder
	must(t, filepath.WalkDir(w.Containerd.CertsD, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			fmt.Fprintf(&b, "%s inode %d changed %d.%09d\n", strings.TrimPrefix(p, w.Root), st.Ino, st.Ctim.Sec, st.Ctim.Nsec)
		}
		return nil
	}))
	if strings.Count(b.String(), "hosts.toml") < 2 { // that of the registry, and that of the proof
		t.Fatalf("the worker has no mirrors:\n%s", b.String())
	}
	return b.String()
}

// untouched checks that no file of the folder of mirrors was touched since.
func untouched(t *testing.T, w *lab.Worker, since string) {
	t.Helper()
	if now := written(t, w); now != since {
		t.Errorf("%s: the mirrors were\n%s\nand are\n%s", w.Name, since, now)
	}
}

// soon waits for what nothing announces.
func soon(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); !done(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("after a minute still not: %s", what)
		}
	}
}

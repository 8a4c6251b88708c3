package probe_test

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// daemon is a runtime of which a test says how it pulls. The real ones are tried in test/probe.
type daemon struct {
	cri.UnimplementedImageServiceServer
	pull func(ctx context.Context, image string) error

	mutex   sync.Mutex
	images  map[string]*cri.Image
	removed []string
}

// start serves the daemon's CRI on a socket.
func (d *daemon) start(t *testing.T) string {
	t.Helper()
	server := grpc.NewServer()
	cri.RegisterImageServiceServer(server, d)
	return serve(t, server)
}

func serve(t *testing.T, server *grpc.Server) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "cri.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return socket
}

func (d *daemon) PullImage(ctx context.Context, r *cri.PullImageRequest) (*cri.PullImageResponse, error) {
	return &cri.PullImageResponse{}, d.pull(ctx, r.Image.Image)
}

func (d *daemon) ImageStatus(_ context.Context, r *cri.ImageStatusRequest) (*cri.ImageStatusResponse, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return &cri.ImageStatusResponse{Image: d.images[r.Image.Image]}, nil
}

func (d *daemon) RemoveImage(_ context.Context, r *cri.RemoveImageRequest) (*cri.RemoveImageResponse, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.removed = append(d.removed, r.Image.Image)
	return &cri.RemoveImageResponse{}, nil
}

// keep has the daemon know an image by some names.
func (d *daemon) keep(image string, names ...string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.images = map[string]*cri.Image{image: {RepoTags: names}}
}

// request is what containerd sends to a mirror at address for an image whose registry has the name ns.
func request(ctx context.Context, address, image, ns string) (*http.Response, error) {
	repository, tag, _ := strings.Cut(image[strings.Index(image, "/")+1:], ":")
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://"+address+"/v2/"+repository+"/manifests/"+tag+"?ns="+ns, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "containerd/v2.4.2")
	response, err := http.DefaultClient.Do(r)
	if err == nil {
		err = response.Body.Close()
	}
	return response, err
}

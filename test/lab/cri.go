package lab

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// CRI is what a kubelet says to a runtime, as far as images go.
type CRI struct {
	connection *grpc.ClientConn
	images     cri.ImageServiceClient
	runtime    cri.RuntimeServiceClient
}

// DialCRI connects to a runtime's socket, which need not be there yet: a call waits for it until its context ends.
func DialCRI(socket string) (*CRI, error) {
	eager := grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.2, MaxDelay: 50 * time.Millisecond}}
	c, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(eager), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		return nil, err
	}
	return &CRI{connection: c, images: cri.NewImageServiceClient(c), runtime: cri.NewRuntimeServiceClient(c)}, nil
}

// Close ends the connection.
func (c *CRI) Close() error { return c.connection.Close() }

// Version is the runtime's own, such as 2.4.2. An answer means that the CRI is there, and not only the daemon.
func (c *CRI) Version(ctx context.Context) (string, error) {
	answer, err := c.runtime.Version(ctx, &cri.VersionRequest{})
	return answer.GetRuntimeVersion(), err
}

// PullImage pulls an image, with the credentials of a pull secret or nil, and returns its ID.
func (c *CRI) PullImage(ctx context.Context, image string, auth *cri.AuthConfig) (string, error) {
	answer, err := c.images.PullImage(ctx, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: image}, Auth: auth})
	return answer.GetImageRef(), err
}

// RemoveImage removes an image, and every other name of the same image ID with it.
func (c *CRI) RemoveImage(ctx context.Context, image string) error {
	_, err := c.images.RemoveImage(ctx, &cri.RemoveImageRequest{Image: &cri.ImageSpec{Image: image}})
	return err
}

// ImageStatus returns what the runtime has under that name; nil: nothing.
func (c *CRI) ImageStatus(ctx context.Context, image string) (*cri.Image, error) {
	answer, err := c.images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: image}})
	return answer.GetImage(), err
}

// ListImages returns all that the runtime has.
func (c *CRI) ListImages(ctx context.Context) ([]*cri.Image, error) {
	answer, err := c.images.ListImages(ctx, &cri.ListImagesRequest{})
	return answer.GetImages(), err
}

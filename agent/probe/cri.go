package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// errPulled is the end of a pull that cannot succeed and did: some mirror serves an image under any name.
var errPulled = errors.New("an image was pulled that exists nowhere: a mirror answers to every name")

// pull asks the runtime for an image and returns why it has none. Each pull has a connection of its own, which ends with it.
func pull(ctx context.Context, socket, image string) error {
	connection, err := dial(socket)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }() // what it can tell is in the answer already
	images := cri.NewImageServiceClient(connection)
	spec := &cri.ImageSpec{Image: image}
	if _, err := images.PullImage(ctx, &cri.PullImageRequest{Image: spec}); err != nil {
		return err
	}
	return tidy(ctx, images, spec)
}

// dial makes a client for a socket; that nobody listens there is told by the first call.
func dial(socket string) (*grpc.ClientConn, error) {
	// The target is only a name, which goes into the requests: a path would have to be a URL there.
	return grpc.NewClient("passthrough:///localhost", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		}))
}

// tidy removes the image of a pull that succeeded, unless the runtime knows the same image by other names: they would go with it
// (RemoveImage in internal/cri/server/images/image_remove.go of containerd v2.4.2).
func tidy(ctx context.Context, images cri.ImageServiceClient, spec *cri.ImageSpec) error {
	answer, err := images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: spec})
	if err != nil || answer.GetImage() == nil {
		return errors.Join(errPulled, err)
	}
	repository, _, _ := strings.Cut(spec.Image, ":")
	for _, name := range append(answer.Image.RepoTags, answer.Image.RepoDigests...) {
		if !strings.HasPrefix(name, repository) {
			return fmt.Errorf("%w; it is left as %s, because the same image is here as %s", errPulled, spec.Image, name)
		}
	}
	_, err = images.RemoveImage(ctx, &cri.RemoveImageRequest{Image: spec})
	return errors.Join(errPulled, err)
}

// judge tells a pull that went elsewhere from a question that could not be put.
func (q *question) judge(socket string, err error) Answer {
	said := oneLine(strings.ReplaceAll(status.Convert(err).Message(), q.repository, "…"))
	switch code := status.Code(err); {
	case code == codes.Unimplemented:
		return Answer{Err: fmt.Errorf("%w at %s: %s", ErrNoCRI, socket, said)}
	case code == codes.Unavailable, code == codes.Canceled, isStarting(said):
		// It ended, or is not ready yet. What a mirror answered may have come with the same code: not to know is the careful answer.
		return Answer{Err: fmt.Errorf("%w at %s: %s", ErrUnreachable, socket, said)}
	default:
		return Answer{Said: said}
	}
}

// isStarting says that the CRI plugin is not ready yet, for which containerd 1.6 and 1.7 have no code of their own (checkInitialized in
// pkg/cri/instrument/instrumented_service.go of v1.7.35).
func isStarting(said string) bool { return strings.Contains(said, "server is not initialized yet") }

package lab

import (
	"context"
	"fmt"
	"runtime"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// NewImage makes an image of one layer of that many random bytes, for the platform that this program runs on. No two are alike: to
// remove one never removes another, as runtimes remove every tag of one image ID.
func NewImage(bytes int64) (v1.Image, error) {
	image, err := random.Image(bytes, 1)
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config.OS, config.Architecture = "linux", runtime.GOARCH
	return mutate.ConfigFile(image, config)
}

// NewIndex makes a multi-platform image: one of NewImage, and one for a platform that nothing runs on.
func NewIndex(bytes int64) (v1.ImageIndex, error) {
	here, err := NewImage(bytes)
	if err != nil {
		return nil, err
	}
	other, err := random.Image(bytes, 1)
	if err != nil {
		return nil, err
	}
	return mutate.AppendManifests(empty.Index, platform(here, runtime.GOARCH), platform(other, "mips64le")), nil
}

func platform(image v1.Image, arch string) mutate.IndexAddendum {
	return mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}}
}

// Push makes an image of a small random layer, pushes it under name[:tag] and returns its digest.
func (r *Registry) Push(image string) (string, error) {
	made, err := NewImage(1024)
	if err != nil {
		return "", err
	}
	return r.PushAs(image, made)
}

// PushAs pushes an image or an index under name[:tag] and returns its digest.
func (r *Registry) PushAs(image string, what remote.Taggable) (string, error) {
	ref, options, err := r.reach(image)
	if err != nil {
		return "", err
	}
	pusher, err := remote.NewPusher(options...)
	if err != nil {
		return "", err
	}
	if err := pusher.Push(context.Background(), ref, what); err != nil {
		return "", fmt.Errorf("push %s: %w", ref, err)
	}
	return r.Digest(image)
}

// Copy takes an image, whole and byte for byte, from another registry and returns its digest, which is the same there.
func (r *Registry) Copy(image string, from *Registry, source string) (string, error) {
	ref, options, err := from.reach(source)
	if err != nil {
		return "", err
	}
	what, err := remote.Get(ref, options...)
	if err != nil {
		return "", fmt.Errorf("copy %s: %w", ref, err)
	}
	return r.PushAs(image, what)
}

// Digest asks the registry what name[:tag] means there.
func (r *Registry) Digest(image string) (string, error) {
	ref, options, err := r.reach(image)
	if err != nil {
		return "", err
	}
	found, err := remote.Head(ref, options...)
	if err != nil {
		return "", fmt.Errorf("ask for %s: %w", ref, err)
	}
	return found.Digest.String(), nil
}

// reach says how this program asks the registry for an image.
func (r *Registry) reach(image string) (name.Reference, []remote.Option, error) {
	var style []name.Option
	if r.config.Plain {
		style = append(style, name.Insecure)
	}
	ref, err := name.ParseReference(r.Host()+"/"+image, style...)
	if err != nil {
		return nil, nil, err
	}
	transport, err := r.transport()
	if err != nil {
		return nil, nil, err
	}
	options := []remote.Option{remote.WithTransport(transport), remote.WithUserAgent("lab")}
	if r.config.User != "" {
		options = append(options, remote.WithAuth(&authn.Basic{Username: r.config.User, Password: r.config.Password}))
	}
	return ref, options, nil
}

package main

import (
	"context"
	"fmt"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// push puts an index into the registry of its name. Credentials are those of docker's config file and its helpers; authorities are the
// machine's, or those of SSL_CERT_FILE. Registries on this machine or at a private address may speak plain HTTP, as crane has it.
func push(ctx context.Context, index v1.ImageIndex, image reference.NamedTagged) error {
	tag, err := name.NewTag(image.String())
	if err != nil {
		return fmt.Errorf("push %s: %w", image, err)
	}
	err = remote.WriteIndex(tag, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return fmt.Errorf("push %s: %w; log in with docker login %s, or name a registry you may write to with IMAGE=", image, err, reference.Domain(image))
	}
	return nil
}

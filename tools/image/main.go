// Command image builds the container image of mirrorlet without a container engine: one static program on an empty base, for several
// platforms at once, as a file or a folder, and into a registry if asked:
//
//	go run ./image -image registry.example.com/mirrorlet:v1 -platforms linux/amd64,linux/arm64 -out ../bin/image.tar [-push]
//
// The same source and the same release of Go give the same digest, wherever and whenever it is built: paths are trimmed, no state of the
// repository is stamped but the version that is given, and every time in the image is SOURCE_DATE_EPOCH (seconds since 1970), or 1970.
//
// There is no CA bundle in the image. The agent trusts the API server by the ca.crt of its service account, and works in the host's own
// file system otherwise.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/distribution/reference"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// order is what the flags ask for.
type order struct {
	source  source
	labels  map[string]string
	name    reference.NamedTagged
	out     string // a file that ends in .tar, or a folder; empty: neither
	push    bool
	created time.Time
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH"))
	if err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run prints the name with the digest, by which the image can be pulled once it is in a registry.
func run(ctx context.Context, o order) error {
	index, err := build(ctx, o)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := save(index, o.name, o.out); err != nil {
			return err
		}
	}
	if o.push {
		if err := push(ctx, index, o.name); err != nil {
			return err
		}
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	fmt.Printf("%s@%s\n", o.name, digest)
	return nil
}

// build makes the programs and puts them into an index of images, in the order of the platforms.
func build(ctx context.Context, o order) (v1.ImageIndex, error) {
	var images []v1.Image
	for _, platform := range o.source.platforms {
		program, err := o.source.program(ctx, platform)
		if err != nil {
			return nil, err
		}
		image, err := newImage(program, platform, o.labels, o.created)
		if err != nil {
			return nil, fmt.Errorf("image for %s: %w", platform, err)
		}
		images = append(images, image)
	}
	return newIndex(images, o.source.platforms), nil
}

func parse(args []string, epoch string) (order, error) {
	var o order
	var image, platforms, version, revision string
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.StringVar(&image, "image", "mirrorlet:devel", "the name of the image, with a tag")
	flags.StringVar(&platforms, "platforms", "linux/amd64,linux/arm64", "for which platforms, separated by commas")
	flags.StringVar(&version, "version", "devel", "what `mirrorlet version` is to print")
	flags.StringVar(&revision, "revision", "", "the commit, for a label; empty for none")
	flags.StringVar(&o.source.dir, "source", "..", "the folder of the module that has ./cmd/mirrorlet")
	flags.StringVar(&o.out, "out", "", "where to write the image: a file that ends in .tar, or a folder (an OCI layout)")
	flags.BoolVar(&o.push, "push", false, "push the image, with the credentials that docker login has stored")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.source.version, o.labels = version, labels(version, revision)
	var err error
	if o.name, err = parseName(image); err != nil {
		return o, err
	}
	if o.source.platforms, err = parsePlatforms(platforms); err != nil {
		return o, err
	}
	o.created, err = parseEpoch(epoch)
	return o, err
}

// parseName returns the normal form of a name, which runtimes ask for: mirrorlet:devel is docker.io/library/mirrorlet:devel.
func parseName(image string) (reference.NamedTagged, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return nil, fmt.Errorf("-image %q: %w; write one such as registry.example.com/mirrorlet:v1", image, err)
	}
	tagged, ok := named.(reference.NamedTagged)
	if _, digested := named.(reference.Digested); !ok || digested {
		return nil, fmt.Errorf("-image %q: a tag is missing, or there is a digest as well; write one such as registry.example.com/mirrorlet:v1", image)
	}
	return tagged, nil
}

func parsePlatforms(list string) ([]v1.Platform, error) {
	var all []v1.Platform
	for text := range strings.SplitSeq(list, ",") {
		platform, err := v1.ParsePlatform(text)
		if err != nil || platform.OS != "linux" || platform.Architecture == "" || platform.Variant != "" || platform.OSVersion != "" {
			return nil, fmt.Errorf("-platforms %q: %q is no platform of mirrorlet; write those such as linux/amd64,linux/arm64", list, text)
		}
		all = append(all, *platform)
	}
	return all, nil
}

func parseEpoch(text string) (time.Time, error) {
	if text == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH=%q: it must be seconds since 1970, or unset", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

package runtimes

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"
)

// Ref is one image reference in its normal form: nginx is docker.io/library/nginx:latest.
type Ref struct {
	Registry   string // host[:port], in the case in which it was written; Docker Hub is docker.io
	Repository string // library/nginx
	Tag        string // empty only when Digest is set
	Digest     string // sha256:…; it wins over Tag, as in every runtime
}

// ParseRef reads any form that a person may write: nginx, quay.io/a/b, a:5000/b:tag@sha256:….
func ParseRef(s string) (Ref, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return Ref{}, fmt.Errorf("image %q: %w", s, err)
	}
	named = reference.TagNameOnly(named)
	r := Ref{Registry: reference.Domain(named), Repository: reference.Path(named)}
	if t, ok := named.(reference.Tagged); ok {
		r.Tag = t.Tag()
	}
	if d, ok := named.(reference.Digested); ok {
		r.Digest = d.Digest().String()
	}
	return r, nil
}

// Name is the reference without tag and digest: docker.io/library/nginx.
func (r Ref) Name() string { return r.Registry + "/" + r.Repository }

// String is the normal form, whole.
func (r Ref) String() string {
	s := r.Name()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// Matches says whether prefix claims the reference: "*" claims all; otherwise the prefix ends where the name ends, or at a "/".
// So r.io never claims r.io:5000/a, and gcr.io/a never claims gcr.io/ab.
func (r Ref) Matches(prefix string) bool {
	rest, found := strings.CutPrefix(r.Name(), prefix)
	return prefix == "*" || found && (rest == "" || rest[0] == '/')
}

// rest is what follows the prefix, without the slash between them: all of the repository for a host or "*".
func (r Ref) rest(prefix string) string {
	if prefix == "*" {
		return r.Repository
	}
	return strings.TrimPrefix(strings.TrimPrefix(r.Name(), prefix), "/")
}

package runtimes

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"
	"time"
)

// Kind says whose an endpoint is.
type Kind string

// The kinds of endpoints.
const (
	KindMirror   Kind = "mirror"
	KindUpstream Kind = "upstream"
)

// Endpoint is one place where a reference is asked for, and the terms on which it is. A list of them is in the order of asking.
type Endpoint struct {
	// URL is the manifest's, whole, as the runtime requests it, with its ?ns= where it sends one. An endpoint that is asked by digest
	// only has {digest} in place of a tag.
	URL  string
	Kind Kind
	// ResolvesTags says that the endpoint may decide what a tag means.
	ResolvesTags bool
	// CA is the file (several: joined by ", ") that is trusted beside the system's pool; empty in what Intent.Endpoints returns.
	CA         string
	PlainHTTP  bool
	SkipVerify bool
	// Insecure endpoints are asked by TLS that nobody verifies, and by plain HTTP where that fails: registries.conf has one word for both,
	// which stands for the wish for either.
	Insecure bool
	// OfHost says that Trust and Identity are those of the endpoint's host, whatever entry leads there.
	OfHost bool
	// DialTimeout is zero where the runtime's own default holds.
	DialTimeout time.Duration
	// From is where this was said: file:line on a host, or the claim in a document.
	From string

	// Trust holds a digest per certificate that is trusted beside the system's pool; sorted.
	Trust []string
	// Identity is a digest of the client certificate, Header one of the headers that are sent: secrets are compared, never shown.
	Identity, Header string
}

// manifestURL is the address under which an API root serves the manifest of a reference, under another repository name.
func manifestURL(root, repository string, ref Ref, resolvesTags bool) string {
	object := ref.Digest
	if object == "" {
		object = ref.Tag
		if !resolvesTags {
			object = "{digest}"
		}
	}
	return root + "/" + repository + "/manifests/" + object
}

// ManifestURL is the address at which the API root (such as https://h/v2) serves the manifest of ref under its own repository name.
func ManifestURL(root string, ref Ref, resolvesTags bool) string {
	return manifestURL(root, ref.Repository, ref, resolvesTags)
}

// Digests returns the digest of each certificate in PEM data, sorted and without doubles.
func Digests(data []byte) []string {
	var out []string
	for _, der := range blocks(data, "CERTIFICATE") {
		out = append(out, sum(der))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// IdentityDigest is how a client certificate (PEM) and its key (PEM) are compared; empty for none. What stands around the PEM blocks
// does not count.
func IdentityDigest(cert, key []byte) string {
	all := append(blocks(cert, "CERTIFICATE"), blocks(key, "PRIVATE KEY")...)
	if len(all) == 0 {
		return ""
	}
	return sum(bytes.Join(all, nil))
}

// blocks returns the content of the PEM blocks whose type ends so: there is PRIVATE KEY, and EC PRIVATE KEY.
func blocks(data []byte, kind string) [][]byte {
	var out [][]byte
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, kind) {
			out = append(out, block.Bytes)
		}
	}
	return out
}

// HeaderDigest is how the headers of an endpoint are compared; empty for none.
func HeaderDigest(header map[string]string) string {
	if len(header) == 0 {
		return ""
	}
	lines := make([]string, 0, len(header))
	for k, v := range header {
		lines = append(lines, k+": "+v)
	}
	slices.Sort(lines)
	return sum([]byte(strings.Join(lines, "\n")))
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

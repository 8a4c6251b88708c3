package crio

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// certFolder is where the certificates of a host are read from: the first folder of its name that there is, even if it is empty; where
// there is none, the one to make. A new one in /etc/containers would hide the owner's in /etc/docker. Source: dockerCertDir in
// docker/docker_client.go of go.podman.io/image v5.39.3.
func certFolder(host fs.FS, name string) string {
	for _, root := range certRoots {
		dir := path.Join(root, name)
		if _, err := fs.Stat(host, dir[1:]); !errors.Is(err, fs.ErrNotExist) {
			return dir
		}
	}
	return path.Join(ownCerts, name)
}

// clientCerts are the client certificates in a folder, in the order in which they are offered. Source: SetupCertificates in
// pkg/tlsclientconfig/tlsclientconfig.go there; of several, Go shows the first whose issuer the server names (crypto/tls
// getClientCertificate).
func clientCerts(host fs.FS, dir string) []string {
	return ending(host, dir, ".cert")
}

// authorities are the files in a folder whose certificates are trusted beside the system's.
func authorities(host fs.FS, dir string) []string {
	return ending(host, dir, ".crt")
}

func ending(host fs.FS, dir, suffix string) []string {
	var out []string
	entries, _ := fs.ReadDir(host, dir[1:])
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			out = append(out, path.Join(dir, e.Name()))
		}
	}
	return out
}

// identity is the digest of the client certificate that a folder holds; of several the first. Empty for none.
func identity(host fs.FS, dir string) string {
	all := clientCerts(host, dir)
	if len(all) == 0 {
		return ""
	}
	cert, _ := fs.ReadFile(host, all[0][1:])
	key, _ := fs.ReadFile(host, strings.TrimSuffix(all[0], ".cert")[1:]+".key")
	return runtimes.IdentityDigest(cert, key)
}

// ports are the ports of a host for which somebody has put certificates on the node: "5000" for r.io:5000.
func ports(host fs.FS, name string) []string {
	var out []string
	for _, root := range certRoots {
		entries, _ := fs.ReadDir(host, root[1:])
		for _, e := range entries {
			if port, found := strings.CutPrefix(e.Name(), name+":"); found && canonical(e.Name()) {
				out = append(out, port)
			}
		}
	}
	return out
}

// certs adds the files that the terms of a host need. Their names carry a digest of prefix and content, so that entries which share a host
// have files of their own, and a new certificate is there before the old one goes.
func (g *rendering) certs(name string, t runtimes.TLS) {
	dir, prefix := certFolder(g.host, name), []byte(g.registry.Prefix)
	if len(t.CA) > 0 {
		g.add(path.Join(dir, "mirrorlet-"+short(prefix, t.CA)+".crt"), g.comment()+string(t.CA))
	}
	if len(t.ClientCert) > 0 {
		// A certificate without its key fails every pull from the host, and so does a key alone.
		file := path.Join(dir, "mirrorlet-"+short(prefix, t.ClientCert, t.ClientKey))
		g.addSecret(file+".key", g.comment()+string(t.ClientKey))
		g.add(file+".cert", g.comment()+string(t.ClientCert))
	}
}

// short is a name for a content: the first eight hexadecimal digits of its SHA-256.
func short(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil))[:8]
}

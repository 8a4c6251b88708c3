package crio_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mirrorlet/mirrorlet/runtimes"
	"github.com/mirrorlet/mirrorlet/runtimes/crio"
	"github.com/mirrorlet/mirrorlet/runtimes/runtimestest"
)

func TestLawHoldsForGeneratedIntents(t *testing.T) {
	n := 3_000
	if testing.Short() {
		n = 500
	}
	subject().Run(t, 1, n)
}

func subject() runtimestest.Subject {
	return runtimestest.Subject{
		Runtime: crio.Runtime{}, Facts: crio.Runtime{}.Assume("1.34.0"), Foreign: foreign, PortsToo: true,
		// There is no time-out of a mirror's own.
		Blank: func(e *runtimes.Endpoint) { e.DialTimeout = 0 },
	}
}

// foreign is what the owner of a host may have in registries.conf, before and after our drop-ins, and in certs.d.
func foreign(chance *rand.Rand, cert, key []byte) []runtimes.File {
	file := func(path, content string) runtimes.File {
		return runtimes.File{Path: path, Content: []byte(content), Mode: 0o644}
	}
	places := []string{
		"/etc/containers/registries.conf", "/etc/containers/registries.conf.d/50-site.conf", "/etc/containers/registries.conf.d/zzz-last.conf",
		"/root/.config/containers/registries.conf.d/10-own.conf", "/etc/containers/registries.conf.d/50-site.conf.bak",
	}
	prefixes := []string{"docker.io", "docker.io/library", "quay.io", "*.io", "*.example", "r.io", "r.io/a", "localhost:5000", "gcr.io/google-containers", "m-1.internal", "10.1.2.3:5000/hub"}
	terms := []string{"", "insecure = true\n", "blocked = true\n", "[[registry.mirror]]\nlocation = 'theirs.example:5000/x'\n"}
	var out []runtimes.File
	for n := chance.IntN(4); n > 0; n-- {
		prefix := prefixes[chance.IntN(len(prefixes))]
		location := fmt.Sprintf("location = '%s'\n", prefix)
		if prefix[0] == '*' {
			location = ""
		}
		out = append(out, file(places[chance.IntN(len(places))], fmt.Sprintf("[[registry]]\nprefix = '%s'\n%s%s", prefix, location, terms[chance.IntN(len(terms))])))
	}
	folders := []string{"/etc/docker/certs.d/", "/etc/containers/certs.d/", "/root/.config/containers/certs.d/"}
	hosts := []string{"harbor.example.com", "172.18.0.20", "docker.io", "m-1.internal", "r.io:5000", "10.1.2.3:5000"}
	for n := chance.IntN(3); n > 0; n-- {
		dir := folders[chance.IntN(len(folders))] + hosts[chance.IntN(len(hosts))]
		switch chance.IntN(3) {
		case 0:
			out = append(out, file(dir+"/ca.crt", string(cert)))
		case 1:
			out = append(out, file(dir+"/client.cert", string(cert)), file(dir+"/client.key", string(key)))
		case 2:
			out = append(out, file(dir+"/README", ""))
		}
	}
	return out
}

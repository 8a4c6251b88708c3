// Poll is what a simple agent does, for comparison: it asks the API server for a MirrorConfig every second, and when that has changed
// it writes a hosts.toml for each registry.
//
//	TOKEN=… poll -url https://… -ca ca.crt -folder certs.d
//
// It is a kind opponent. Many agents of this sort read a ConfigMap that is mounted into their Pod, and the kubelet brings a change there
// only within a minute or more; this one asks the source. It parses nothing, proves nothing, keeps nothing of what was there, and syncs
// nothing, so that a power cut may take what it wrote.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

func main() {
	url, ca, folder := flag.String("url", "", "of the MirrorConfig"), flag.String("ca", "", "of the API server"), flag.String("folder", "", "to write to")
	flag.Parse()
	if err := poll(*url, *ca, *folder); err != nil {
		fmt.Fprintln(os.Stderr, "poll:", err)
		os.Exit(1)
	}
}

func poll(url, ca, folder string) error {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	last := ""
	for range time.Tick(time.Second) {
		config, err := get(client, url)
		if err != nil {
			return err
		}
		if config.ResourceVersion == last {
			continue
		}
		for _, r := range config.Spec.Registries {
			if err := write(filepath.Join(folder, r.Prefix), r.Mirrors); err != nil {
				return err
			}
		}
		last = config.ResourceVersion
	}
	return nil
}

func get(client *http.Client, url string) (config v1alpha1.MirrorConfig, err error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return config, err
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("TOKEN"))
	answer, err := client.Do(request)
	if err != nil {
		return config, err
	}
	defer answer.Body.Close()
	return config, json.NewDecoder(answer.Body).Decode(&config)
}

func write(folder string, mirrors []v1alpha1.Mirror) error {
	content := ""
	for _, m := range mirrors {
		content += fmt.Sprintf("[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", m.Location)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	temp := filepath.Join(folder, ".hosts.toml")
	if err := os.WriteFile(temp, []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(folder, "hosts.toml"))
}

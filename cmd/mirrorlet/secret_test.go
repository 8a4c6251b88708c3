package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// canaries are secrets that were made for one story, and all forms in which they could appear.
type canaries [][]byte

// secrets FILE writes the Secrets of a story, with a password and a key that nobody has seen before.
func secrets(ts *testscript.TestScript, _ bool, args []string) {
	password := rand.Text()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	b64 := base64.StdEncoding.EncodeToString
	documents := fmt.Sprintf(`---
apiVersion: v1
kind: Secret
metadata: {name: robot}
stringData: {username: robot, password: %s}
---
apiVersion: v1
kind: Secret
metadata: {name: client}
data: {tls.crt: %s, tls.key: %s}
`, password, b64(cert), b64(keyPEM))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(documents), 0o600))
	lines := strings.Split(string(keyPEM), "\n")
	*ts.Value("canaries").(*canaries) = canaries{
		[]byte(password), []byte(b64([]byte("robot:" + password))), []byte(b64([]byte(password))), []byte(lines[1]), []byte(b64(keyPEM)[:60]),
	}
}

// hidden looks for the secrets in what the last command said, and in all files below a folder that others may read.
func hidden(ts *testscript.TestScript, not bool, args []string) {
	found := leaks(ts, "stdout", ts.ReadFile("stdout")) || leaks(ts, "stderr", ts.ReadFile("stderr"))
	private := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		data, err := os.ReadFile(p)
		switch {
		case err != nil:
			return err
		case info.Mode().Perm()&0o077 != 0:
			found = leaks(ts, p, string(data)) || found
		case leak(ts, string(data)):
			private++
		}
		return nil
	}))
	if found {
		ts.Fatalf("a secret can be seen")
	}
	if (private > 0) == not {
		ts.Fatalf("%d files hold a secret", private)
	}
}

func leaks(ts *testscript.TestScript, where, text string) bool {
	if leak(ts, text) {
		ts.Logf("%s shows a secret:\n%s", where, text)
		return true
	}
	return false
}

func leak(ts *testscript.TestScript, text string) bool {
	for _, c := range *ts.Value("canaries").(*canaries) {
		if bytes.Contains([]byte(text), c) {
			return true
		}
	}
	return false
}

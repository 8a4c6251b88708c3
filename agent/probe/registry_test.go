package probe_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/probe"
)

func TestTheRegistryIsOnLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "[::]:0", ":0", "localhost:0", "192.0.2.1:0", "127.0.0.1", ""} {
		if _, err := probe.Listen(address); err == nil {
			t.Errorf("it listens at %q", address)
		} else if !strings.Contains(err.Error(), "give an address such as 127.0.0.1:0") {
			t.Errorf("%q: the error does not say what to do: %v", address, err)
		}
	}
}

func TestAPortInUseIsReplacedByAFreeOne(t *testing.T) {
	first := listen(t)
	second := listenAt(t, first.Address())
	if second.Address() == first.Address() || !strings.HasPrefix(second.Address(), "127.0.0.1:") {
		t.Errorf("it listens at %s", second.Address())
	}
}

func TestAPortThatIsFreeIsKept(t *testing.T) {
	first := listen(t)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := listenAt(t, first.Address())
	if second.Address() != first.Address() {
		t.Errorf("it listens at %s", second.Address())
	}
}

func TestTheRegistryHasNothing(t *testing.T) {
	r := listen(t)
	for path, want := range map[string]struct {
		status int
		code   string
	}{
		"/v2":                        {200, ""},
		"/v2/":                       {200, ""},
		"/v2/a/b/manifests/latest":   {404, "MANIFEST_UNKNOWN"},
		"/v2/a/b/manifests/sha256:0": {404, "MANIFEST_UNKNOWN"},
		"/v2/a/b/blobs/sha256:0":     {404, "NAME_UNKNOWN"},
		"/v2/_catalog":               {404, "NAME_UNKNOWN"},
		"/":                          {404, "NAME_UNKNOWN"},
	} {
		response, err := http.Get("http://" + r.Address() + path)
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Errors []struct{ Code string } }
		err = json.NewDecoder(response.Body).Decode(&body)
		response.Body.Close()
		code := ""
		if len(body.Errors) > 0 {
			code = body.Errors[0].Code
		}
		if err != nil || response.StatusCode != want.status || code != want.code || !response.Close {
			t.Errorf("%s: %s %s, connection kept: %t; %v", path, response.Status, code, !response.Close, err)
		}
	}
}

func TestARequestThatSaysTooMuchIsRefused(t *testing.T) {
	c, err := net.Dial("tcp", listen(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	go func() { _, _ = io.WriteString(c, "GET /v2/ HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 1<<20)) }()
	answer, _ := io.ReadAll(c)
	if !strings.Contains(string(answer), "431 ") {
		t.Errorf("it answers %q", answer)
	}
}

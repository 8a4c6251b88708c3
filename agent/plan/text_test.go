package plan

import (
	"strings"
	"testing"
)

func TestADiffShowsNobodysSecrets(t *testing.T) {
	const login = "[host.\"https://m\".header]\n  authorization = \"Basic c3BhbTplZ2dz\"\n"
	for name, c := range map[string]Change{
		"ours":                                  {Old: regular("server = \"x\"\n"), New: Node{Kind: Regular, Mode: 0o600, Content: []byte(login)}, Secret: true},
		"the owner's, for himself only":         {Old: Node{Kind: Regular, Mode: 0o640, Content: []byte("password: c3BhbTplZ2dz")}, New: regular("ours\n")},
		"a login of the owner's for all to see": {Old: regular(login), New: regular("ours\n")},
		"ours of before, with a login":          {Old: Node{Kind: Regular, Mode: 0o600, Content: []byte(login)}, New: regular("ours\n")},
		"given back":                            {Old: regular("ours\n"), New: Node{Kind: Regular, Mode: 0o600, Content: []byte(login)}, Release: true},
	} {
		c.Path = "/etc/f"
		if d := c.UnifiedDiff(); strings.Contains(d, "c3BhbTplZ2dz") || !strings.Contains(d, "secret, ") {
			t.Errorf("%s: %s", name, d)
		}
	}
}

package cluster_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
)

func TestSecretsAreInFilesForRootAndNowhereElse(t *testing.T) {
	t.Parallel()
	audit, err := site.NewAudit(t.TempDir())
	must(t, err)
	m := join(t, "127.0.0.4", audit.Config())
	s := &secrets{member: m, audit: audit, canaries: map[string]string{}, said: map[string]string{}}
	s.arrange()
	s.refused()

	m.apply(s.good())
	m.awaits("{.status.mirrorCount}", "2")
	m.awaits(`{.status.conditions[?(@.type=="Obeyed")].reason}`, "Proven")
	s.pull(s.one, "with-a-password")
	s.pull(s.other, "with-a-docker-config")
	s.hidden("at work", "password", "docker config", "client key")

	s.forgetRules()
	m.apply(s.bad())
	m.awaits("{.status.problems[6].reason}", "Invalid")
	m.kubectl("delete", "mirrorconfig", "bad")
	m.apply(s.broken())
	m.awaits("{.status.configs[0].name}", "broken")
	m.kubectl("delete", "secret", "robot", "--namespace="+site.Namespace)
	m.awaits(`{.status.problems[?(@.message=="Secret/robot is not there; the last good value stays in use, put it right")].reason}`, "UnresolvedReference")
	s.hidden("in trouble", "password", "docker config", "client key")

	m.kubectl("label", "node", m.Name, "mirrorlet.dev/enabled=false", "--overwrite")
	m.awaits("{.status.state}", "NotEnrolled")
	s.hidden("left")
}

// secrets are canaries in all places where a secret belongs, and in some where it does not.
type secrets struct {
	*member
	audit      *site.Audit
	one, other *lab.Registry     // which ask for a login
	canaries   map[string]string // what is to be found nowhere, by what it is
	said       map[string]string // what was said in words, by who said it
}

// canary makes up a secret.
func (s *secrets) canary(what string) string {
	text := rand.Text()
	s.canaries[what] = text
	return text
}

// arrange makes two mirrors that ask for a login and one that wants a certificate too, and one Secret of each kind.
func (s *secrets) arrange() {
	var err error
	s.one, err = s.lab.Registry(lab.RegistryConfig{User: "robot", Password: s.canary("password"), ClientCert: true})
	must(s.t, err)
	s.other, err = s.lab.Registry(lab.RegistryConfig{User: "robot", Password: s.canary("docker config")})
	must(s.t, err)
	cert, key := s.pair("client key")
	login := base64.StdEncoding.EncodeToString([]byte("robot:" + s.canaries["docker config"]))
	s.secret("robot", map[string]string{"username": "robot", "password": s.canaries["password"]})
	s.secret("docker", map[string]string{".dockerconfigjson": fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, s.other.Host(), login)})
	s.secret("client", map[string]string{"tls.crt": cert, "tls.key": key})
	s.secret("authority", map[string]string{"ca.crt": string(s.lab.CA.PEM)})
	s.secret("nobodys", map[string]string{"password": s.canary("Secret that nobody names")})
	s.secret("no-docker-config", map[string]string{".dockerconfigjson": s.canary("docker config that is none") + "{"})
	s.secret("no-login", map[string]string{"username": "robot", "password": s.canary("password of two lines") + "\n" + s.canary("second line")})
	s.secret("no-pair", map[string]string{"tls.crt": cert, "tls.key": "-----BEGIN PRIVATE KEY-----\n" + s.canary("key that is none") + "\n-----END PRIVATE KEY-----\n"})
	cert, key = s.pair("key beside its certificate")
	s.secret("combined", map[string]string{"tls.crt": cert + key, "tls.key": key})
	s.secret("no-authority", map[string]string{"ca.crt": s.canary("authority that is none")})
	s.secret("too-much", map[string]string{"ca.crt": string(s.lab.CA.PEM) + "-----BEGIN PRIVATE KEY-----\n" + s.canary("key beside an authority") + "\n-----END PRIVATE KEY-----\n"})
}

// pair is a certificate with its key, of which the second line is a canary.
func (s *secrets) pair(what string) (cert, key string) {
	s.t.Helper()
	p, err := s.lab.CA.Client("robot")
	must(s.t, err)
	s.canaries[what] = strings.Split(string(p.Key), "\n")[2]
	return string(p.Cert), string(p.Key)
}

func (s *secrets) secret(name string, values map[string]string) {
	s.t.Helper()
	object, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]string{"name": name, "namespace": site.Namespace}, "stringData": values,
	})
	must(s.t, err)
	s.apply(string(object))
}

// document is a MirrorConfig with one registry.
func document(name, registry string) string {
	return "---\n{apiVersion: mirrorlet.dev/v1alpha1, kind: MirrorConfig, metadata: {name: " + name + "}, spec: {registries: [" + registry + "]}}\n"
}

func (s *secrets) good() string {
	return document("good", fmt.Sprintf(`{prefix: %s, fallback: Never, mirrors: [
{location: %q, ca: {secretRef: {name: authority}}, auth: {secretRef: {name: robot}}, clientCert: {secretRef: {name: client}}},
{location: %q, ca: {secretRef: {name: authority}}, auth: {secretRef: {name: docker}}}]}`, site.Registry, s.one.URL(), s.other.URL()))
}

// wrong are mirrors with a secret where it does not belong.
func (s *secrets) wrong() map[string]string {
	return map[string]string{
		"password in a location":  fmt.Sprintf(`{location: "https://robot:%s@m.example/hub"}`, s.canary("password in a location")),
		"token in a location":     fmt.Sprintf(`{location: "https://m.example/hub?token=%s"}`, s.canary("token in a location")),
		"password in an API root": fmt.Sprintf(`{apiRoot: "https://robot:%s@m.example/x/v2"}`, s.canary("password in an API root")),
		"password and a bad port": fmt.Sprintf(`{location: "https://robot:%s@m.example:99999/Hub/v2/%%zz"}`, s.canary("password and a bad port")),
		"header":                  fmt.Sprintf(`{location: "https://m.example", headers: {Authorization: "Bearer %s"}}`, s.canary("header")),
		"header of two lines":     fmt.Sprintf(`{location: "https://m.example", headers: {Cookie: "a=%s\nb"}}`, s.canary("header of two lines")),
		"key as an authority":     fmt.Sprintf(`{location: "https://m.example", ca: {pem: "-----BEGIN PRIVATE KEY-----\n%s\n"}}`, s.canary("key as an authority")),
	}
}

// refused tries all of them at the API server, which repeats none in what it says of them.
func (s *secrets) refused() {
	for what, mirror := range s.wrong() {
		_, err := s.API.Apply(document("bad", "{prefix: bad.example, mirrors: ["+mirror+"]}"))
		if err == nil {
			s.t.Errorf("a %s was taken", what)
			continue
		}
		s.said["the API server, of a "+what] = err.Error()
	}
}

// forgetRules makes the CRD one that checks nothing, as one of another version might.
func (s *secrets) forgetRules() {
	var crd map[string]any
	must(s.t, json.Unmarshal([]byte(s.kubectl("get", "crd", "mirrorconfigs.mirrorlet.dev", "-o=json")), &crd))
	var strip func(any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "x-kubernetes-validations")
			for _, child := range v {
				strip(child)
			}
		case []any:
			for _, child := range v {
				strip(child)
			}
		}
	}
	strip(crd)
	text, err := json.Marshal(crd)
	must(s.t, err)
	_, err = s.API.KubectlAs(s.API.Admin, string(text), "replace", "--filename=-")
	must(s.t, err)
}

// bad is all that is wrong in one MirrorConfig, each in a registry of its own.
func (s *secrets) bad() string {
	var registries []string
	for i, mirror := range slices.Sorted(maps.Values(s.wrong())) {
		registries = append(registries, fmt.Sprintf("{prefix: bad-%d.example, mirrors: [%s]}", i, mirror))
	}
	return document("bad", strings.Join(registries, ", "))
}

// broken names Secrets that are not what they should be, in a registry each.
func (s *secrets) broken() string {
	const mirror = `{prefix: %s.example, mirrors: [{location: "https://m.example", %s}]}`
	return document("broken", strings.Join([]string{
		fmt.Sprintf(mirror, "docker", "auth: {secretRef: {name: no-docker-config}}"),
		fmt.Sprintf(mirror, "login", "auth: {secretRef: {name: no-login}}"),
		fmt.Sprintf(mirror, "pair", "clientCert: {secretRef: {name: no-pair}}"),
		fmt.Sprintf(mirror, "authority", "ca: {secretRef: {name: no-authority}}"),
		fmt.Sprintf(mirror, "combined", "clientCert: {secretRef: {name: combined}}"),
		fmt.Sprintf(mirror, "both", "ca: {secretRef: {name: too-much}}"),
	}, ", "))
}

// pull has containerd pull an image that only one of the mirrors has.
func (s *secrets) pull(from *lab.Registry, name string) {
	_, err := from.Push("library/" + name + ":1")
	must(s.t, err)
	from.Log.Clear()
	if err := s.Pull("library/" + name + ":1"); err != nil {
		s.t.Errorf("pull %s: %v", name, err)
	}
	for _, r := range from.Log.About("library/" + name) {
		if r.Status == 200 && r.Authorization {
			return
		}
	}
	s.t.Errorf("%s was not pulled with a login: %v", name, from.Log.Requests())
}

// hidden looks for every canary in everything that is said and in every file of the node. Files for root alone hold these and no others.
func (s *secrets) hidden(when string, kept ...string) {
	s.t.Helper()
	s.hear(when)
	for who, text := range s.said {
		if text == "" {
			s.t.Errorf("%s: nothing", who)
		}
		for what := range s.within(text) {
			s.t.Errorf("%s: the %s can be seen: %s says\n%s", when, what, who, text)
		}
	}
	private := map[string]bool{}
	must(s.t, filepath.WalkDir(s.Node.Root, func(p string, e fs.DirEntry, err error) error {
		return s.look(when, p, e, err, private)
	}))
	if got := slices.Sorted(maps.Keys(private)); !slices.Equal(got, slices.Sorted(slices.Values(kept))) {
		s.t.Errorf("%s: files for root alone hold %v, and should %v", when, got, kept)
	}
}

// look looks into one file of the node.
func (s *secrets) look(when, p string, e fs.DirEntry, err error, private map[string]bool) error {
	switch name := strings.TrimPrefix(p, s.Node.Root); {
	case err != nil:
		return err
	case name == "/proc" || name == "/sys" || name == "/dev" || name == "/lib" || name == "/lib64" || name == "/usr":
		return fs.SkipDir
	case !e.Type().IsRegular():
		return nil
	}
	info, err := e.Info()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(p)
	for what := range s.within(string(data)) {
		if info.Mode().Perm()&0o077 == 0 {
			private[what] = true
		} else {
			s.t.Errorf("%s: the %s can be seen: %s is %v", when, what, p, info.Mode())
		}
	}
	return err
}

// hear notes all that is said about the node: by the agent, by what it has told the API server, by containerd, and by the other verbs.
func (s *secrets) hear(when string) {
	s.t.Helper()
	s.said[when+": the agent"] = s.agent.Log()
	s.said[when+": metrics"] = s.metrics()
	s.said[when+": objects"] = s.kubectl("get", "events,mirrornodes,nodes", "--all-namespaces", "-o=yaml")
	s.said[when+": describe"] = s.kubectl("describe", "node,mirrornode", s.Name)
	for _, of := range []string{"cmdline", "environ"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.agent.PID(), of))
		must(s.t, err)
		s.said[when+": "+of] = string(text)
	}
	containerd, err := os.ReadFile(s.Node.Log)
	must(s.t, err)
	s.said[when+": containerd"] = string(containerd)
	notes, err := s.audit.Notes()
	must(s.t, err)
	for _, n := range notes {
		s.said[when+": requests"] += n.String() + " " + string(n.RequestObject) + "\n"
	}
	explained, err := s.Run("explain", "--output=json", site.Registry+"/library/app:1")
	s.said[when+": explain"] = fmt.Sprint(explained, err)
	planned, err := s.Run("plan", "--diff")
	s.said[when+": plan"] = fmt.Sprint(planned, err)
}

// within are the canaries that a text has in it, as they are or somewhere in base64.
func (s *secrets) within(text string) map[string]bool {
	found := map[string]bool{}
	for what, canary := range s.canaries {
		for _, form := range forms(canary) {
			if strings.Contains(text, form) {
				found[what] = true
			}
		}
	}
	return found
}

// forms are a text as it is, and as it looks in base64 behind any number of other bytes.
func forms(text string) []string {
	all := []string{text}
	for before := range 3 {
		encoded := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + text))
		first := []int{0, 2, 3}[before] // what is before has a part in these characters, and what comes after in the last
		all = append(all, encoded[first:len(encoded)-3])
	}
	return all
}

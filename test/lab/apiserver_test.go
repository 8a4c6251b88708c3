package lab_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/parts"
)

func apiServer(t *testing.T, l *lab.Lab) *lab.APIServer {
	t.Helper()
	lab.NeedAPIServer(t)
	start := time.Now()
	s, err := l.APIServer(lab.APIServerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ready after %s", time.Since(start).Round(time.Millisecond))
	return s
}

func kubectl(t *testing.T, s *lab.APIServer, args ...string) string {
	t.Helper()
	out, err := s.Kubectl(args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func TestAnAPIServerIsARealOneOfThePinnedVersion(t *testing.T) {
	s := apiServer(t, lab.Start(t))
	pinned, err := parts.Find("kube-apiserver")
	if err != nil {
		t.Fatal(err)
	}
	minor := strings.Split(pinned.Version(), ".")[1]
	for _, want := range []string{`"minor": "` + minor + `"`, `"gitVersion": "v` + pinned.Version() + `"`} {
		if got := kubectl(t, s, "get", "--raw=/version"); !strings.Contains(got, want) {
			t.Errorf("got %s, without %s", got, want)
		}
	}
	if got := kubectl(t, s, "get", "service", "kubernetes", "--output=jsonpath=https://{.spec.clusterIP}"); got != s.URL {
		t.Errorf("its Service is %s, and it listens on %s", got, s.URL)
	}
}

func TestAnAPIServerLetsAUserDoWhatHisRolesSayAndNoMore(t *testing.T) {
	s := apiServer(t, lab.Start(t))
	if _, err := s.Apply(`{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: reader, namespace: default},
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list]}]}`); err != nil {
		t.Fatal(err)
	}
	kubectl(t, s, "create", "rolebinding", "reader", "--role=reader", "--group=readers", "--serviceaccount=default:robot")
	kubectl(t, s, "create", "serviceaccount", "robot")
	person, err := s.Kubeconfig("jane", "readers")
	if err != nil {
		t.Fatal(err)
	}
	robot, err := s.TokenKubeconfig("default", "robot")
	if err != nil {
		t.Fatal(err)
	}
	for name, kubeconfig := range map[string]string{"jane": person, "system:serviceaccount:default:robot": robot} {
		if _, err := s.KubectlAs(kubeconfig, "", "get", "configmaps"); err != nil {
			t.Error(err)
		}
		_, err := s.KubectlAs(kubeconfig, "", "get", "secrets")
		if err == nil || !strings.Contains(err.Error(), `User "`+name+`" cannot list resource "secrets"`) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAnAPIServerThatWasAwayHasItsDataAndItsAddress(t *testing.T) {
	s := apiServer(t, lab.Start(t))
	kubectl(t, s, "create", "configmap", "kept", "--from-literal=a=b")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Kubectl("get", "configmap", "kept"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("it is away, and kubectl says %v", err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if got := kubectl(t, s, "get", "configmap", "kept", "--output=jsonpath={.data.a}"); got != "b" {
		t.Errorf("got %q", got)
	}
}

func TestTwoAPIServersOfOneLabDoNotMeet(t *testing.T) {
	l := lab.Start(t)
	a, b := apiServer(t, l), apiServer(t, l)
	kubectl(t, a, "create", "configmap", "mine")
	if out, err := b.Kubectl("get", "configmap", "mine"); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("got %q, %v", out, err)
	}
	if _, err := b.KubectlAs(a.Admin, "", "--server="+b.URL, "get", "configmaps"); err == nil {
		t.Error("one accepts the keys of the other")
	}
}

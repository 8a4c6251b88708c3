package cluster_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mirrorlet/mirrorlet/test/lab"
	"github.com/mirrorlet/mirrorlet/test/site"
)

// may is all that the agent's account may do and any other account may not. RBAC knows no versions, so the first of each group stands for
// all. An asterisk is every namespace at once.
var may = []string{
	"create default events",
	"create mirrornodes.mirrorlet.dev",
	"get default services", "get kube-system services", "get mirrorlet-system services",
	"get mirrorconfigs.mirrorlet.dev",
	"get mirrorlet-system configmaps", "get mirrorlet-system secrets",
	"get mirrornodes.mirrorlet.dev",
	"get nodes",
	"list * services", "list default services", "list kube-system services", "list mirrorlet-system services",
	"list mirrorconfigs.mirrorlet.dev",
	"list mirrorlet-system configmaps", "list mirrorlet-system secrets",
	"list nodes",
	"patch default events",
	"patch mirrornodes.mirrorlet.dev/status",
	"watch * services", "watch default services", "watch kube-system services", "watch mirrorlet-system services",
	"watch mirrorconfigs.mirrorlet.dev",
	"watch mirrorlet-system configmaps", "watch mirrorlet-system secrets",
	"watch nodes",
}

func TestTheAgentsAccountMayDoThisAndNothingElseThatTheAPIServerServes(t *testing.T) {
	t.Parallel()
	lab.NeedAPIServer(t)
	api, err := lab.Start(t).APIServer(lab.APIServerConfig{})
	must(t, err)
	for _, args := range [][]string{
		{"apply", "-k", site.Manifests("base")},
		{"wait", "--for=condition=Established", "crd/mirrorconfigs.mirrorlet.dev", "crd/mirrornodes.mirrorlet.dev", "--timeout=30s"},
		{"create", "serviceaccount", "nobody"},
	} {
		_, err := api.Kubectl(args...)
		must(t, err)
	}
	agent, nobody := someone(t, api, site.Namespace, "mirrorlet"), someone(t, api, "default", "nobody")
	var got []string
	all := everything(t, api)
	for _, a := range all {
		if agent.may(a) && !nobody.may(a) {
			got = append(got, a.what)
		}
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(may)); !slices.Equal(got, want) {
		t.Errorf("of %d things it may\n%s\nand should\n%s", len(all), strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(all) < 1300 {
		t.Errorf("%d things are not all that an API server serves", len(all))
	}
}

// attempt is a request that is refused for lack of the right, or comes to nothing.
type attempt struct {
	what, method, path string
	header             http.Header
}

// account is somebody at an API server.
type account struct {
	t     *testing.T
	http  *http.Client
	url   string
	token string
}

func someone(t *testing.T, api *lab.APIServer, namespace, name string) account {
	t.Helper()
	token, err := api.Token(namespace, name)
	must(t, err)
	return account{t, &http.Client{Transport: lab.Trust(api.CA)}, api.URL, token}
}

// may tries. Rights are looked at before anything else of a request, so any answer but a Forbidden means that it may.
func (a account) may(try attempt) bool {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), try.method, a.url+try.path, nil)
	must(a.t, err)
	if try.header != nil {
		request.Header = try.header.Clone()
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	answer, err := a.http.Do(request)
	must(a.t, err)
	must(a.t, answer.Body.Close())
	if answer.StatusCode == http.StatusUnauthorized {
		a.t.Fatalf("%s: its token is not accepted", try.what)
	}
	return answer.StatusCode != http.StatusForbidden
}

// resources is what an API server says of a group of kinds that it serves (the aggregated discovery of Kubernetes 1.30 and later).
type resources struct {
	Metadata struct{ Name string }
	Versions []struct {
		Version   string
		Resources []struct {
			Resource, Scope string
			Verbs           []string
			Subresources    []struct {
				Subresource string
				Verbs       []string
			}
		}
	}
}

// everything is every verb of every resource that an API server serves, in our namespace, in two others, and in all at once, and what it
// serves beside resources.
func everything(t *testing.T, api *lab.APIServer) []attempt {
	t.Helper()
	var all []attempt
	for _, root := range []string{"/api", "/apis"} {
		for _, group := range discover(t, api, root) {
			version := group.Versions[0]
			base := root + "/" + version.Version
			suffix := ""
			if group.Metadata.Name != "" {
				base, suffix = root+"/"+group.Metadata.Name+"/"+version.Version, "."+group.Metadata.Name
			}
			for _, r := range version.Resources {
				for _, in := range places(r.Scope) {
					all = append(all, attempts(base, in, r.Resource, suffix, "", r.Verbs)...)
					for _, s := range r.Subresources {
						all = append(all, attempts(base, in, r.Resource, suffix, "/"+s.Subresource, s.Verbs)...)
					}
				}
			}
		}
	}
	for _, path := range []string{"/metrics", "/logs", "/debug/pprof/heap", "/configz", "/flagz", "/statusz"} {
		all = append(all, attempt{what: "get " + path, method: http.MethodGet, path: path})
	}
	for _, name := range []string{"User", "Group", "Uid"} {
		header := http.Header{"Impersonate-User": {"system:admin"}}
		header.Set("Impersonate-"+name, "system:masters")
		all = append(all, attempt{what: "impersonate " + name, method: http.MethodGet, path: "/version", header: header})
	}
	return all
}

func discover(t *testing.T, api *lab.APIServer, root string) []resources {
	t.Helper()
	client, err := api.Client("admin", "system:masters")
	must(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api.URL+root, nil)
	must(t, err)
	request.Header.Set("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
	answer, err := client.Do(request)
	must(t, err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	must(t, err)
	var list struct{ Items []resources }
	must(t, json.Unmarshal(data, &list))
	return list.Items
}

// places are where resources of a scope are tried.
func places(scope string) []string {
	if scope == "Cluster" {
		return []string{""}
	}
	return []string{site.Namespace, "default", "kube-system", "*"}
}

// methods are how a verb of the API server is said in HTTP; what ends with a slash is of an object, else of all of them.
var methods = map[string][2]string{
	"get": {http.MethodGet, "/"}, "list": {http.MethodGet, ""}, "watch": {http.MethodGet, "?watch=1&timeoutSeconds=1"},
	"create": {http.MethodPost, "?dryRun=All"}, "update": {http.MethodPut, "/?dryRun=All"}, "patch": {http.MethodPatch, "/?dryRun=All"},
	"delete": {http.MethodDelete, "/?dryRun=All"}, "deletecollection": {http.MethodDelete, "?dryRun=All"},
}

// attempts are those at one resource, or a subresource, in one place.
func attempts(base, in, resource, group, subresource string, verbs []string) []attempt {
	path, where := base+"/"+resource, ""
	if in != "" {
		where = in + " "
		if in != "*" {
			path = base + "/namespaces/" + in + "/" + resource
		}
	}
	var all []attempt
	for _, verb := range verbs {
		how, known := methods[verb]
		object := strings.HasPrefix(how[1], "/")
		if !known || in == "*" && (object || verb == "create" || verb == "deletecollection" || subresource != "") {
			continue
		}
		at := path
		if object || subresource != "" {
			at += "/canary" + subresource
		}
		all = append(all, attempt{
			what: fmt.Sprintf("%s %s%s%s%s", verb, where, resource, group, subresource), method: how[0], path: at + strings.TrimPrefix(how[1], "/"),
		})
	}
	return all
}

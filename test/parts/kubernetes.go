package parts

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// kubernetes is the module of the programs. Its own go.mod replaces the modules that are developed with it by folders of its repository
// and requires them as v0.0.0, so whoever requires it must say which versions he means: v0.36.3 of each goes with v1.36.3.
const kubernetes = "k8s.io/kubernetes"

// versionPackage is told the version when a program is linked (k8s.io/component-base version/base.go); /version of an API server and
// the kubeletVersion of a Node come from there.
const versionPackage = "k8s.io/component-base/version"

// buildKubernetes builds a program of Kubernetes. All of them share most of what is compiled, so each after the first is quick.
func buildKubernetes(ctx context.Context, p Part, scratch, target string) error {
	major, rest, found := strings.Cut(p.Version(), ".")
	minor, _, more := strings.Cut(rest, ".")
	if !found || !more {
		return fmt.Errorf("version %q is not like 1.36.3", p.Version())
	}
	together, err := developedTogether(ctx, scratch, p.Version())
	if err != nil {
		return err
	}
	for i, module := range together {
		together[i] = module + "@v0." + rest
	}
	ldflags := fmt.Sprintf("-s -w -X %[1]s.gitVersion=v%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s",
		versionPackage, p.Version(), major, minor)
	return build(ctx, p, scratch, target, ldflags, together...)
}

// developedTogether lists the modules that Kubernetes requires in the version of its own tree.
func developedTogether(ctx context.Context, scratch, version string) ([]string, error) {
	var module struct{ GoMod string }
	if err := printed(ctx, &module, scratch, "go", "mod", "download", "-json", kubernetes+"@v"+version); err != nil {
		return nil, err
	}
	var file struct {
		Require []struct{ Path, Version string }
	}
	if err := printed(ctx, &file, scratch, "go", "mod", "edit", "-json", module.GoMod); err != nil {
		return nil, err
	}
	var all []string
	for _, r := range file.Require {
		if r.Version == "v0.0.0" {
			all = append(all, r.Path)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s requires no module as v0.0.0", module.GoMod)
	}
	return all, nil
}

// printed reads the JSON that a command prints.
func printed(ctx context.Context, into any, dir string, argv ...string) error {
	out, err := run(ctx, dir, argv...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	return nil
}

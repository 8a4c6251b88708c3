// Command install writes install.yaml: the manifests with an image of your own and the components you choose, as one file for kubectl.
//
//	go run ./install -image registry.example.com/mirrorlet:v1 [-components own-node,enroll-all] -out ../install.yaml
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

func main() {
	image := flag.String("image", "mirrorlet:devel", "the image that nodes are to run, with a tag or a digest")
	components := flag.String("components", "", "names of folders of manifests/components, separated by commas")
	manifests := flag.String("manifests", "../manifests", "the folder of the manifests")
	out := flag.String("out", "", "the file to write; empty for the standard output")
	flag.Parse()
	if err := run(*manifests, *image, *components, *out); err != nil {
		fmt.Fprintln(os.Stderr, "install:", err)
		os.Exit(1)
	}
}

func run(manifests, image, components, out string) error {
	named := strings.FieldsFunc(components, func(r rune) bool { return r == ',' })
	text, err := render(os.DirFS(manifests), image, named)
	if err != nil {
		return err
	}
	text = append(heading(image, named), text...)
	if out == "" {
		_, err = os.Stdout.Write(text)
		return err
	}
	if err := os.WriteFile(out, text, 0o644); err != nil {
		return err
	}
	fmt.Printf("%s runs %s; each node must have that image or be able to pull it\n", out, image)
	return nil
}

func heading(image string, components []string) []byte {
	with := ""
	if len(components) > 0 {
		with = " and the components " + strings.Join(components, ", ")
	}
	return fmt.Appendf(nil, "# Mirrorlet with the image %s%s. Before you delete this, read \"Leave\" in docs/install.md: nodes keep their mirrors.\n", image, with)
}

// render returns the base of the manifests with these components and this image, as one text of many documents.
func render(manifests fs.FS, image string, components []string) ([]byte, error) {
	if err := checkImage(image); err != nil {
		return nil, err
	}
	if err := checkComponents(manifests, components); err != nil {
		return nil, err
	}
	disk, err := inMemory(manifests)
	if err != nil {
		return nil, err
	}
	text, err := yaml.Marshal(overlay(image, components))
	if err != nil {
		return nil, err
	}
	if err := disk.WriteFile("/install/kustomization.yaml", text); err != nil {
		return nil, err
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, "/install")
	if err != nil {
		return nil, err
	}
	return built.AsYaml()
}

// overlay is what a user would write by hand. The image is set by a patch, which takes it as it is: kustomize's own way to set one puts
// name, tag and digest together again.
func overlay(image string, components []string) map[string]any {
	paths := []string{}
	for _, c := range components {
		paths = append(paths, "../manifests/components/"+c)
	}
	return map[string]any{
		"resources": []string{"../manifests/base"}, "components": paths,
		"patches": []any{map[string]any{
			"target": map[string]string{"kind": "DaemonSet", "name": "mirrorlet"},
			"patch":  fmt.Sprintf(`[{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": %q}]`, image),
		}},
	}
}

func checkImage(image string) error {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return fmt.Errorf("-image %q: %w; write one such as registry.example.com/mirrorlet:v1", image, err)
	}
	if reference.IsNameOnly(named) {
		return fmt.Errorf("-image %q: a tag is missing; write one such as registry.example.com/mirrorlet:v1", image)
	}
	return nil
}

func checkComponents(manifests fs.FS, components []string) error {
	folders, err := fs.ReadDir(manifests, "components")
	if err != nil {
		return err
	}
	var known []string
	for _, f := range folders {
		known = append(known, f.Name())
	}
	for _, c := range components {
		if !slices.Contains(known, c) {
			return fmt.Errorf("-components: there is no %q in manifests/components; choose from %s", c, strings.Join(known, ", "))
		}
	}
	return nil
}

// inMemory copies the manifests, because kustomize builds only what lies on one disk.
func inMemory(manifests fs.FS) (filesys.FileSystem, error) {
	disk := filesys.MakeFsInMemory()
	err := fs.WalkDir(manifests, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := fs.ReadFile(manifests, name)
		if err != nil {
			return err
		}
		return disk.WriteFile(path.Join("/manifests", name), content)
	})
	return disk, err
}

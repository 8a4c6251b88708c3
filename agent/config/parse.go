package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/mirrorlet/mirrorlet/api/v1alpha1"
)

// secret is what is read of a v1 Secret.
type secret struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Immutable         *bool             `json:"immutable"`
	Type              string            `json:"type"`
	Data              map[string][]byte `json:"data"`
	StringData        map[string]string `json:"stringData"`
}

// configMap is what is read of a v1 ConfigMap.
type configMap struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Immutable         *bool             `json:"immutable"`
	Data              map[string]string `json:"data"`
	BinaryData        map[string][]byte `json:"binaryData"`
}

// parse adds the documents of one file.
func (d *Documents) parse(file string, data []byte) {
	if len(data) > maxFile {
		d.refuse(Error{File: file, Message: fmt.Sprintf("the file is larger than %d bytes", maxFile), Remedy: "split it into several files"})
		return
	}
	if path.Ext(file) == ".json" {
		data = bytes.ReplaceAll(data, []byte("\t"), []byte(" ")) // JSON may be indented by tabs, YAML may not; inside texts both are escaped
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		root, err := next(decoder)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			d.refuse(syntaxError(file, err))
			return
		}
		if null(root) {
			continue
		}
		if d.count++; d.count > maxDocuments {
			d.refuse(Error{File: file, Line: root.Line, Message: fmt.Sprintf("there are more than %d documents", maxDocuments), Remedy: "write several registries into one MirrorConfig"})
			return
		}
		d.document(file, root)
	}
}

// next returns the root of the next document. The parser has been made to panic before (CVE-2022-28948), and no input may stop the
// agent, so a panic is taken for a syntax error.
func next(decoder *yaml.Decoder) (root *yaml.Node, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("yaml: the parser gave up")
		}
	}()
	var n yaml.Node
	if err := decoder.Decode(&n); err != nil {
		return nil, err
	}
	if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
		return n.Content[0], nil
	}
	return &n, nil
}

// syntaxError takes the line out of the parser's message.
func syntaxError(file string, err error) Error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	e := Error{File: file, Line: 1, Message: "not YAML: " + message, Remedy: "check indentation, quotes and brackets near this line"}
	if rest, found := strings.CutPrefix(message, "line "); found {
		number, text, _ := strings.Cut(rest, ": ")
		if line, err := strconv.Atoi(number); err == nil {
			e.Line, e.Message = line, "not YAML: "+text
		}
	}
	return e
}

// document adds one document of whatever kind.
func (d *Documents) document(file string, root *yaml.Node) {
	s := newSheet(file)
	s.lines[""] = root.Line
	apiVersion, kind := typeOf(root)
	switch {
	case root.Kind != yaml.MappingNode:
		s.errorf("", "write apiVersion, kind, metadata and spec", "the document is not a mapping")
	case kind == v1alpha1.MirrorConfigKind && apiVersion == v1alpha1.APIVersion:
		d.mirrorConfig(s, root)
	case kind == "Secret" && apiVersion == "v1":
		d.secret(s, root)
	case kind == "ConfigMap" && apiVersion == "v1":
		d.configMap(s, root)
	default:
		wrongType(s, root, apiVersion, kind)
	}
	d.errs = append(d.errs, s.errs...)
}

// typeOf finds apiVersion and kind, before it is known what else there may be.
func typeOf(root *yaml.Node) (apiVersion, kind string) {
	for i := 0; i+1 < len(root.Content); i += 2 {
		switch root.Content[i].Value {
		case "apiVersion":
			apiVersion = root.Content[i+1].Value
		case "kind":
			kind = root.Content[i+1].Value
		}
	}
	return apiVersion, kind
}

func wrongType(s *sheet, root *yaml.Node, apiVersion, kind string) {
	for i := 0; i+1 < len(root.Content); i += 2 {
		s.lines[root.Content[i].Value] = root.Content[i].Line
	}
	const known = "MirrorConfig of " + v1alpha1.APIVersion + ", Secret and ConfigMap of v1 are read here"
	switch {
	case kind == "":
		s.errorf("kind", "write kind: "+v1alpha1.MirrorConfigKind, "is missing")
	case apiVersion == "":
		s.errorf("apiVersion", "write apiVersion: "+v1alpha1.APIVersion, "is missing")
	case kind == v1alpha1.MirrorConfigKind:
		s.errorf("apiVersion", "write apiVersion: "+v1alpha1.APIVersion, "%s is not known", quote(apiVersion))
	case kind == "Secret" || kind == "ConfigMap":
		s.errorf("apiVersion", "write apiVersion: v1", "%s has no %s", quote(apiVersion), kind)
	case strings.HasSuffix(kind, "List"):
		s.errorf("kind", "write the items as documents of their own, with --- between them", "a list is not read here")
	default:
		s.errorf("kind", known+"; move other objects elsewhere", "%s is not read here", quote(kind))
	}
}

func (d *Documents) mirrorConfig(s *sheet, root *yaml.Node) {
	var config v1alpha1.MirrorConfig
	(&decoder{sheet: s}).value(root, reflect.ValueOf(&config).Elem(), "", root.Line)
	d.claim(s, v1alpha1.MirrorConfigKind, config.Name)
	d.configs = append(d.configs, validate(s, config))
}

func (d *Documents) secret(s *sheet, root *yaml.Node) {
	var object secret
	(&decoder{sheet: s}).value(root, reflect.ValueOf(&object).Elem(), "", root.Line)
	d.claim(s, "Secret", object.Name)
	for key, value := range object.Data {
		d.values[valueKey("Secret", object.Name, key)] = value
	}
	for key, value := range object.StringData { // wins over data, as at an API server
		d.values[valueKey("Secret", object.Name, key)] = []byte(value)
	}
}

func (d *Documents) configMap(s *sheet, root *yaml.Node) {
	var object configMap
	(&decoder{sheet: s}).value(root, reflect.ValueOf(&object).Elem(), "", root.Line)
	d.claim(s, "ConfigMap", object.Name)
	for key, value := range object.Data {
		d.values[valueKey("ConfigMap", object.Name, key)] = []byte(value)
	}
	for key, value := range object.BinaryData {
		if s.has("data[" + plainKey(key) + "]") {
			s.errorf("binaryData["+plainKey(key)+"]", "keep one of them", "the key is in data as well")
		}
		d.values[valueKey("ConfigMap", object.Name, key)] = value
	}
}

// valueKey names one value of an object, in Documents, LastGood and References.
func valueKey(kind, name, key string) string { return kind + "/" + name + "/" + key }

// claim checks an object's name, and that no other object has it.
func (d *Documents) claim(s *sheet, kind, name string) {
	if d.seen == nil {
		d.seen, d.values = map[string]place{}, map[string][]byte{}
	}
	const field = "metadata.name"
	here := place{s.file, s.line(field)}
	before, twice := d.seen[kind+"/"+name]
	switch {
	case s.broken("metadata"):
	case name == "":
		s.errorf(field, "write metadata: {name: cluster}, or another name", "is missing")
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		s.errorf(field, "use lower-case letters, digits, - and . only, at most 253, with a letter or digit at both ends", "%s is not a name that an object can have", quote(name))
	case twice:
		s.errorf(field, "give it another name, or move its entries there", "%s %s is there twice; the first is at %s", kind, quote(name), before)
	}
	if !twice {
		d.seen[kind+"/"+name] = here
	}
}

// sort puts the configs into the order in which they claim: by name.
func (d *Documents) sort() {
	slices.SortStableFunc(d.configs, func(a, b document) int { return strings.Compare(a.name, b.name) })
}

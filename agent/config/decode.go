package config

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// decoder reads YAML nodes into Go values by their json tags, strictly: a key that the type does not know, a key that is there twice
// and a value of another type are errors. It notes on its sheet where each field stands.
type decoder struct {
	*sheet
	aliased int // values read through aliases so far
	within  int // aliases that we are in
}

// value reads n into v, which is at field and on line. Null is as if the field were not there; a field that is noted as there always
// has a value, and a pointer to it is not nil.
func (d *decoder) value(n *yaml.Node, v reflect.Value, field string, line int) {
	if n.Kind == yaml.AliasNode {
		d.within++
		defer func() { d.within-- }()
		n = n.Alias
	}
	if d.within > 0 {
		d.aliased++
	}
	switch {
	case d.aliased == maxAliased+1:
		d.aliased++ // say it once, of the document: nobody knows what else is missing
		d.errorf("", "write the values out", "the document repeats more than %d values by aliases", maxAliased)
	case d.aliased > maxAliased || null(n):
	default:
		d.lines[field] = line
		d.typed(n, v, field)
	}
}

func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// typed reads a value that is there.
func (d *decoder) typed(n *yaml.Node, v reflect.Value, field string) {
	switch target := v.Addr().Interface().(type) {
	case *metav1.Duration:
		d.duration(n, target, field)
		return
	case *[]byte:
		d.bytes(n, target, field)
		return
	case json.Unmarshaler, encoding.TextUnmarshaler:
		return // times and managed fields of metadata, which only an API server writes and nobody here reads
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.typed(n, v.Elem(), field)
	case reflect.Struct:
		d.object(n, v, field)
	case reflect.Map:
		d.mapping(n, v, field)
	case reflect.Slice:
		d.list(n, v, field)
	default:
		d.scalar(n, v, field)
	}
}

func (d *decoder) object(n *yaml.Node, v reflect.Value, field string) {
	known := map[string]reflect.Value{}
	names := fields(v, known)
	d.pairs(n, field, "a mapping such as {"+strings.Join(names[:min(2, len(names))], ": …, ")+": …}", func(key, child *yaml.Node, path string) {
		target, ok := known[key.Value]
		if !ok {
			d.fail(path, unknownRemedy(key.Value, names), "there is no such field")
			return
		}
		d.value(child, target, path, key.Line)
	}, func(key string) string { return strings.TrimPrefix(field+"."+plainKey(key), ".") })
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, field string) {
	m := reflect.MakeMap(v.Type())
	d.pairs(n, field, "a mapping of names to values", func(key, child *yaml.Node, path string) {
		element := reflect.New(v.Type().Elem()).Elem()
		if null(child) {
			d.fail(path, `write "" for an empty text`, "has no value")
		}
		d.value(child, element, path, key.Line)
		m.SetMapIndex(reflect.ValueOf(key.Value), element)
	}, func(key string) string { return field + "[" + plainKey(key) + "]" })
	v.Set(m)
}

// pairs walks over the keys of a mapping; path makes a field path of a key.
func (d *decoder) pairs(n *yaml.Node, field, expected string, each func(key, child *yaml.Node, path string), path func(string) string) {
	if n.Kind != yaml.MappingNode {
		d.expected(n, field, expected)
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if d.full() {
			return
		}
		key, child := n.Content[i], n.Content[i+1]
		if tag := key.ShortTag(); key.Kind != yaml.ScalarNode || tag == "!!merge" || tag == "!!binary" {
			d.errorf(field, "write each field out under its name", "has a key that is not a plain name")
			d.errs[len(d.errs)-1].Line = key.Line
			continue
		}
		at := path(key.Value)
		if line, twice := first[key.Value]; twice {
			d.at(at, key.Line)
			d.fail(at, "keep one of them", "is there twice; the first is at line %d", line)
			continue
		}
		first[key.Value] = key.Line
		d.keyed(at, key.Line, func() { each(key, child, at) })
	}
}

// keyed runs f with the key's line known, even for a value that is null, so that an error about it names the line.
func (d *decoder) keyed(field string, line int, f func()) {
	before := len(d.errs)
	f()
	for i := before; i < len(d.errs); i++ {
		if d.errs[i].Field == field {
			d.errs[i].Line = line
		}
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, field string) {
	if n.Kind != yaml.SequenceNode {
		d.expected(n, field, "a list")
		return
	}
	items := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, child := range n.Content {
		path := field + "[" + strconv.Itoa(i) + "]"
		d.lines[path] = child.Line
		if null(child) {
			d.fail(path, "remove the dash or write the item", "is empty")
			continue
		}
		d.value(child, items.Index(i), path, child.Line)
	}
	v.Set(items)
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, field string) {
	tag := n.ShortTag()
	switch v.Kind() {
	case reflect.String:
		if n.Kind != yaml.ScalarNode || tag != "!!str" && tag != "!!timestamp" {
			d.expected(n, field, "a text")
			return
		}
		v.SetString(n.Value)
	case reflect.Bool:
		b, err := strconv.ParseBool(n.Value)
		if n.Kind != yaml.ScalarNode || tag != "!!bool" || err != nil {
			d.expected(n, field, "true or false")
			return
		}
		v.SetBool(b)
	default:
		i, err := strconv.ParseInt(n.Value, 10, v.Type().Bits())
		if n.Kind != yaml.ScalarNode || tag != "!!int" || err != nil {
			d.expected(n, field, "a whole number")
			return
		}
		v.SetInt(i)
	}
}

func (d *decoder) duration(n *yaml.Node, v *metav1.Duration, field string) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		d.expected(n, field, `a duration such as "1s" or "500ms"`)
		return
	}
	parsed, err := time.ParseDuration(n.Value)
	if err != nil {
		d.fail(field, `write one such as "1s" or "500ms"`, "%s is not a duration", quote(n.Value))
		return
	}
	v.Duration = parsed
}

func (d *decoder) bytes(n *yaml.Node, v *[]byte, field string) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" && n.ShortTag() != "!!binary" {
		d.expected(n, field, "a text in base64")
		return
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(n.Value))
	if err != nil {
		d.fail(field, "encode it with base64, or use stringData in a Secret and data in a ConfigMap", "is not base64")
		return
	}
	*v = decoded
}

// fail reports an error and remembers that the field has no value.
func (d *decoder) fail(field, remedy, format string, args ...any) {
	if !d.full() {
		d.failed[field] = true
	}
	d.errorf(field, remedy, format, args...)
}

// at corrects the line of what is reported next for a field that the sheet knows at another line.
func (d *decoder) at(field string, line int) { d.lines[field] = line }

// expected reports a value of the wrong type. It does not show the value, which could be a secret.
func (d *decoder) expected(n *yaml.Node, field, what string) {
	remedy := "write " + what
	if what == "a text" && n.Kind == yaml.ScalarNode {
		remedy = "put it in quotes"
	}
	d.fail(field, remedy, "expected %s, found %s", what, kindOf(n))
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!str":
		return "a text"
	default:
		return "a value of another type"
	}
}

// fields collects the fields of a struct by their json names, inlined ones included, and returns the names in their order.
func fields(v reflect.Value, into map[string]reflect.Value) []string {
	var names []string
	for i := range v.NumField() {
		name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name == "" && option == "inline" {
			names = append(names, fields(v.Field(i), into)...)
		} else if name != "" && name != "-" {
			into[name] = v.Field(i)
			names = append(names, name)
		}
	}
	return names
}

// plainKey is a key as a part of a field path.
func plainKey(key string) string {
	q := quote(key)
	return q[1:max(1, strings.LastIndexByte(q, '"'))]
}

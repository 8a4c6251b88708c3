package containerd

import (
	"fmt"
	"strings"
)

// section is one table of a config, read by key. It remembers the first value that has the wrong type: containerd does not start
// with such a one, whatever else the file says.
type section struct {
	file   string
	name   string // dotted, for messages
	values map[string]any
	wrong  *string // shared by the tables within
}

// err returns the first wrong value, of this table or one within.
func (s section) err() error {
	if s.wrong == nil || *s.wrong == "" {
		return nil
	}
	return &unreadable{file: s.file, what: *s.wrong}
}

func (s *section) refuse(key, want string) {
	if s.wrong == nil {
		s.wrong = new(string)
	}
	if *s.wrong == "" {
		*s.wrong = fmt.Sprintf("%s is not %s, so containerd does not start: correct it", strings.TrimPrefix(s.name+"."+key, "."), want)
	}
}

// table returns a table within; one that is not there is empty.
func (s *section) table(key string) *section {
	if s.wrong == nil {
		s.wrong = new(string)
	}
	inner := &section{file: s.file, name: strings.TrimPrefix(s.name+"."+key, "."), wrong: s.wrong}
	if v, ok := s.values[key]; ok {
		if inner.values, ok = v.(map[string]any); !ok {
			s.refuse(key, "a table")
		}
	}
	return inner
}

func (s *section) text(key string) string {
	v, ok := s.values[key].(string)
	if !ok && s.values[key] != nil {
		s.refuse(key, "a string")
	}
	return v
}

func (s *section) flag(key string, missing bool) bool {
	if s.values[key] == nil {
		return missing
	}
	v, ok := s.values[key].(bool)
	if !ok {
		s.refuse(key, "true or false")
	}
	return v
}

func (s *section) integer(key string, missing int) int {
	if s.values[key] == nil {
		return missing
	}
	v, ok := s.values[key].(int64)
	if !ok {
		s.refuse(key, "a whole number")
	}
	return int(v)
}

func (s *section) texts(key string) []string {
	if s.values[key] == nil {
		return nil
	}
	list, ok := s.values[key].([]any)
	if !ok {
		s.refuse(key, "a list of strings")
	}
	var out []string
	for _, v := range list {
		text, ok := v.(string)
		if !ok {
			s.refuse(key, "a list of strings")
		}
		out = append(out, text)
	}
	return out
}

package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mirrorlet/mirrorlet/runtimes"
)

// Error is one thing that is wrong in a document: where, what, and what to do about it. It never shows a value of a Secret, nor one
// that could be a secret by mistake, such as a URL with a password in it.
type Error struct {
	File string
	// Line counts from 1; 0 where the file as a whole is meant.
	Line int
	// Field is a path such as spec.registries[0].mirrors[1].location; empty where the document as a whole is meant.
	Field   string
	Message string
	Remedy  string
	// Registry is the prefix of the entry that alone is refused, Host the first name of such a hosts entry. Where both are empty the
	// document as a whole is refused.
	Registry, Host string
}

// Error is the error as one line: file:line: field: message; remedy.
func (e Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where += ":" + strconv.Itoa(e.Line)
	}
	if e.Field != "" {
		where += ": " + e.Field
	}
	return where + ": " + e.what()
}

func (e Error) what() string {
	if e.Remedy == "" {
		return e.Message
	}
	return e.Message + "; " + e.Remedy
}

// Refuses says that the document as a whole is refused.
func (e Error) Refuses() bool { return e.Registry == "" && e.Host == "" }

// Problem is the error as runtimes and reports know it.
func (e Error) Problem() runtimes.Problem {
	from, message := e.File, e.what()
	if e.Line > 0 {
		from += ":" + strconv.Itoa(e.Line)
	}
	if e.Field != "" {
		message = e.Field + ": " + message
	}
	return runtimes.Problem{Registry: e.Registry, Reason: runtimes.Invalid, Message: message, From: from}
}

// fault is what is wrong with one value, before it is known where the value stands. nil is no fault.
type fault struct{ message, remedy string }

func faultf(remedy, format string, args ...any) *fault {
	return &fault{message: fmt.Sprintf(format, args...), remedy: remedy}
}

// quote shows a value to a person: on one line, and not endlessly long.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.QuoteToASCII(strings.ToValidUTF8(s[:most], "")) + "…"
	}
	return strconv.QuoteToASCII(s)
}

// place is where something stands.
type place struct {
	file string
	line int
}

func (p place) String() string { return p.file + ":" + strconv.Itoa(p.line) }

// sheet knows where each field of a document stands, and collects what is wrong with it.
type sheet struct {
	file string
	// lines holds a line for each field path that is there and not null.
	lines map[string]int
	// failed are the paths whose value could not be read; nothing more is said about those.
	failed map[string]bool
	errs   []Error
}

func newSheet(file string) *sheet {
	return &sheet{file: file, lines: map[string]int{}, failed: map[string]bool{}}
}

// has says that a field is there.
func (s *sheet) has(field string) bool { _, ok := s.lines[field]; return ok }

// line is that of the field, or of the nearest thing around it that is there.
func (s *sheet) line(field string) int {
	for {
		if line, ok := s.lines[field]; ok || field == "" {
			return line
		}
		field = field[:max(strings.LastIndexAny(field, ".["), 0)]
	}
}

// errorf reports an error at a field.
func (s *sheet) errorf(field, remedy, format string, args ...any) {
	s.report(field, faultf(remedy, format, args...))
}

// report reports a fault at a field, and says whether it is one. After too many the document is refused as a whole, and no more of
// them are kept.
func (s *sheet) report(field string, f *fault) bool {
	switch {
	case f == nil:
		return false
	case s.full():
		return true
	case len(s.errs) == maxErrors:
		field, f = "", &fault{fmt.Sprintf("the document has more than %d errors", maxErrors), "correct these first"}
	}
	s.errs = append(s.errs, Error{File: s.file, Line: s.line(field), Field: field, Message: f.message, Remedy: f.remedy})
	return true
}

// full says that there are so many errors that the document is refused whatever else is in it.
func (s *sheet) full() bool { return len(s.errs) > maxErrors }

// broken says whether a field, something in it or something around it could not be read.
func (s *sheet) broken(field string) bool {
	for f := range s.failed {
		if within(f, field) || within(field, f) {
			return true
		}
	}
	return false
}

// within says whether one field path is another, or in it.
func within(inner, outer string) bool {
	rest, found := strings.CutPrefix(inner, outer)
	return found && (rest == "" || rest[0] == '.' || rest[0] == '[' || outer == "")
}

// wrong says whether anything was reported at a field or in it.
func (s *sheet) wrong(field string) bool {
	return slices.ContainsFunc(s.errs, func(e Error) bool { return within(e.Field, field) })
}

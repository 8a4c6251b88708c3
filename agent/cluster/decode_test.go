package cluster

import (
	"strings"
	"testing"
)

func TestOnlyAWholeListIsAList(t *testing.T) {
	for list, want := range map[string]string{
		`{"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]}`: "a b at 7",
		`{"items": [{"metadata": {"name": "a"}}], "kind": "List", "metadata": {"resourceVersion": "7"}}`:              "a at 7",
		`{"metadata": {"resourceVersion": "7"}, "items": []}`:                                                         "at 7",
		`{"metadata": {"resourceVersion": "7"}, "items": null}`:                                                       "at 7",
		`{"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "a"}}]`:                               "",
		`{"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"name": "a"}}`:                                "",
		`{"metadata": {"resourceVersion": "7", "continue": "x"}, "items": [{"metadata": {"name": "a"}}]}`:             "",
		`{"metadata": {"resourceVersion": "7"}}`:                                                                      "",
		`{"metadata": {}, "items": []}`:                                                                               "",
		`{"metadata": {"resourceVersion": "7"}, "items": {"a": {}}}`:                                                  "",
		`{"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {}}]}`:                                         "",
		`{"kind": "Status", "status": "Failure"}`:                                                                     "",
		`[]`:     "",
		``:       "",
		`<html>`: "",
	} {
		got := ""
		version, err := decodeList(strings.NewReader(list), func(name string, _ []byte) { got += name + " " })
		if got += "at " + version; (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("%s: %q, %v", list, got, err)
		}
	}
}

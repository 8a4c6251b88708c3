package host

import (
	"testing"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

func TestSettleLooksAtTheDiskToSayWhatWasWritten(t *testing.T) {
	none := plan.Sum{}
	owner, first, second, foreign := file("owner").Sum(), file("1").Sum(), file("2").Sum(), file("?").Sum()
	before := originalOf(file("owner"))
	for _, c := range []struct {
		name    string
		record  record
		disk    plan.Sum
		wrote   plan.Sum // zero: the record is dropped
		counted bool     // the pending actions count
	}{
		{"a first write that happened", record{Before: before, Next: &first}, first, first, true},
		{"a first write that did not happen", record{Before: before, Next: &first}, owner, none, false},
		{"a first write where nothing was, and that happened", record{Next: &first}, first, first, true},
		{"a first write where nothing was, and that did not happen", record{Next: &first}, none, none, false},
		{"a first write that somebody wrote over", record{Before: before, Next: &first}, foreign, first, false},
		{"a first write that somebody took away", record{Before: before, Next: &first}, none, first, false},
		{"an edit that happened", record{Before: before, Wrote: first, Next: &second}, second, second, true},
		{"an edit that did not happen", record{Before: before, Wrote: first, Next: &second}, first, first, false},
		{"an edit that somebody undid to the owner's", record{Before: before, Wrote: first, Next: &second}, owner, first, false},
		{"an edit that somebody wrote over", record{Before: before, Wrote: first, Next: &second}, foreign, second, false},
		{"a return that happened", record{Before: before, Wrote: first, Next: &none}, owner, none, true},
		{"a return that did not happen", record{Before: before, Wrote: first, Next: &none}, first, first, false},
		{"a return to nothing that happened", record{Wrote: first, Next: &none}, none, none, true},
		{"a return to nothing that did not happen", record{Wrote: first, Next: &none}, first, first, false},
		{"a return of what somebody changed", record{Before: before, Wrote: first, Next: &none}, foreign, first, false},
		{"a folder that others use and that stays", record{Wrote: dir().Sum(), Next: &none}, dir().Sum(), dir().Sum(), false},
		{"no write under way", record{Before: before, Wrote: first}, foreign, first, false},
	} {
		c.record.Path = "/p"
		d := document{Records: []record{c.record}, PendingNext: []plan.PendingAction{{Runtime: "new"}}}
		got := settle(d, map[string]plan.Sum{"/p": c.disk})
		wrote := none
		if len(got.Records) > 0 {
			wrote = got.Records[0].Wrote
			if got.Records[0].Next != nil || got.Records[0].Before != c.record.Before {
				t.Errorf("%s: the record is %+v", c.name, got.Records[0])
			}
		}
		if wrote != c.wrote {
			t.Errorf("%s: wrote is %+v, want %+v", c.name, wrote, c.wrote)
		}
		if counted := len(got.Pending) > 0; counted != c.counted {
			t.Errorf("%s: the pending actions count: %v", c.name, counted)
		}
	}
}

func TestSettleOfASettledStateChangesNothing(t *testing.T) {
	d := document{Records: []record{{Path: "/p", Wrote: file("1").Sum()}}, Pending: []plan.PendingAction{{Runtime: "crio"}}}
	if got := settle(d, nil); len(got.Records) != 1 || len(got.Pending) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestRecordsStayInTheOrderOfWriting(t *testing.T) {
	d := document{Records: []record{{Path: "/a"}, {Path: "/a/hosts.toml"}, {Path: "/b"}}}
	d = d.ahead([]step{
		{Change: plan.Change{Path: "/a/ca.crt", New: file("ca")}},
		{Change: plan.Change{Path: "/a/hosts.toml", New: file("2")}},
		{Change: plan.Change{Path: "/c", New: dir()}},
		{Change: plan.Change{Path: "/b"}},
	}, nil, nil)
	var order []string
	for _, r := range d.Records {
		order = append(order, r.Path)
	}
	if got, want := join(order), "/a /a/ca.crt /a/hosts.toml /b /c"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

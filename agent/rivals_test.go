package agent

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mirrorlet/mirrorlet/agent/plan"
)

// match is a host on which a rival overwrites one file of ours whenever he likes, with the clock of the test.
type match struct {
	rivals rivals
	now    time.Duration
	wish   string
}

const contestedFile = "/etc/containerd/certs.d/quay.io/hosts.toml"

// round is what the agent does when the file was overwritten; it says whether it was put back.
func (m *match) round(content string) bool {
	wish := func(string) string { return m.wish }
	changes := []plan.Change{{Path: contestedFile, Registry: "quay.io", New: plan.Node{Kind: plan.Regular, Content: []byte(content)}}}
	if len(m.rivals.held(wish, fstest.MapFS{}, m.now)) > 0 || m.rivals.contested(changes, wish, m.now) {
		return false
	}
	m.rivals.wrote(changes, m.now)
	return true
}

// fight lets the rival overwrite the file every minute until it is left to him, and returns how often it was put back.
func (m *match) fight() int {
	for n := 0; ; n++ {
		m.now += time.Minute
		if !m.round("ours") {
			return n
		}
	}
}

func TestAFileIsPutBackFiveTimesAndThenLeft(t *testing.T) {
	m := match{wish: "w"}
	m.round("ours")
	if n := m.fight(); n != 5 {
		t.Errorf("it was put back %d times", n)
	}
	if at := m.rivals.next(m.now); at != m.now+10*time.Minute {
		t.Errorf("it is tried again after %v", at-m.now)
	}
}

func TestAfterATruceOneMoreOverwritingIsEnoughForATwiceAsLongOne(t *testing.T) {
	m := match{wish: "w"}
	m.round("ours")
	m.fight()
	for _, want := range []time.Duration{20, 40, 80, 160, 320, 360, 360} {
		m.now = m.rivals.next(m.now)
		if n := m.fight(); n != 1 {
			t.Errorf("after the truce it was put back %d times", n)
		}
		if got := m.rivals.next(m.now) - m.now; got != want*time.Minute {
			t.Errorf("the next truce is %v, want %v minutes", got, want)
		}
	}
}

func TestATryThatLastsEndsTheMatter(t *testing.T) {
	m := match{wish: "w"}
	m.round("ours")
	m.fight()
	m.now = m.rivals.next(m.now)
	if !m.round("ours") {
		t.Fatal("it was not tried again")
	}
	m.now += time.Hour
	if n := m.fight(); n != 5 {
		t.Errorf("an hour later it was put back %d times", n)
	}
	if got := m.rivals.next(m.now) - m.now; got != 10*time.Minute {
		t.Errorf("an hour later the truce is %v", got)
	}
}

func TestSeldomOverwritingIsRepairedForEver(t *testing.T) {
	m := match{wish: "w"}
	for range 100 {
		if !m.round("ours") {
			t.Fatalf("after %v it was left to somebody who overwrites it every three minutes", m.now)
		}
		m.now += 3 * time.Minute
	}
}

func TestAnotherWishIsTriedAtOnce(t *testing.T) {
	m := match{wish: "w"}
	m.round("ours")
	m.fight()
	m.wish = "another"
	if !m.round("ours anew") {
		t.Error("another wish was not tried")
	}
}

func TestOurOwnEditsAreNoFight(t *testing.T) {
	m := match{}
	for i := range 50 {
		m.wish = strings.Repeat("x", i)
		if !m.round(m.wish) {
			t.Fatalf("edit %d was taken for somebody else's", i)
		}
	}
	back := []plan.Change{{Path: contestedFile, Registry: "quay.io", Release: true}}
	for range 50 { // an entry that comes and goes
		m.rivals.wrote(back, m.now)
		if !m.round("ours") {
			t.Fatal("an entry that comes back was taken for somebody else's")
		}
	}
}

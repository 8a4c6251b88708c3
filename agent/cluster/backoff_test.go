package cluster

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestFiveThousandAgentsDoNotComeBackAtOnce(t *testing.T) {
	const agents = 5000
	dice := rand.New(rand.NewPCG(1, 2))
	for name, c := range map[string]struct {
		failures int
		err      error
		busiest  int
	}{
		"after a watch was cut":         {0, errCut, agents / 4},
		"after an outage":               {10, errors.New("refused"), agents / 10},
		"after a server that says when": {0, apierrors.NewTooManyRequests("", 20), agents / 4},
	} {
		seconds := map[time.Duration]int{}
		for range agents {
			f := &feed{failures: c.failures, chance: dice.Float64}
			seconds[f.delay(c.err)/time.Second]++
		}
		busy := 0
		for _, n := range seconds {
			busy = max(busy, n)
		}
		if busy > c.busiest {
			t.Errorf("%s: %d in one second", name, busy)
		}
	}
}

func TestFailuresAreFollowedByLongerAndLongerPauses(t *testing.T) {
	f := &feed{chance: func() float64 { return 1 }}
	var got []time.Duration
	for range 8 {
		got = append(got, f.delay(errors.New("refused"))/time.Second)
	}
	if !slices.Equal(got, []time.Duration{1, 2, 4, 8, 16, 30, 30, 30}) {
		t.Errorf("got %d", got)
	}
}

func TestWatchesThatDoNotLastAreAskedForMoreAndMoreRarely(t *testing.T) {
	for name, err := range map[string]error{"cut": errCut, "expired": apierrors.NewResourceExpired("")} {
		f := &feed{chance: func() float64 { return 1 }}
		var got []time.Duration
		for range 7 {
			f.failures, f.flaps = 0, f.flaps+1 // a watch that opened
			got = append(got, f.delay(err)/time.Second)
		}
		want := []time.Duration{5, 4, 8, 16, 30, 30, 30}
		if name == "expired" {
			want[0] = 0
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestOnlyTheServersOwnStateLetsAWatchGoOn(t *testing.T) {
	for code, want := range map[int]bool{404: true, 403: true, 401: true, 410: true, 400: true, 429: false, 500: false, 503: false, 504: false} {
		err := apierrors.NewGenericServerResponse(code, http.MethodGet, schema.GroupResource{}, "", "", 0, true)
		if definite(err) != want || transient(err) == want {
			t.Errorf("%d: definite %t, transient %t", code, definite(err), transient(err))
		}
	}
}

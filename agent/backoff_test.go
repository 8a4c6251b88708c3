package agent

import (
	"errors"
	"testing"
	"time"
)

var errFull = errors.New("no space left on device")

func TestAFailureWaitsTwiceAsLongEachTimeUpToTenMinutes(t *testing.T) {
	var b backoff
	var now time.Duration
	want := 10 * time.Second
	for range 12 {
		b.failed("k", "wish", errFull, now, 1)
		if b.waits("k", "wish", now+want-1) == nil || b.waits("k", "wish", now+want) != nil {
			t.Errorf("after %v it does not wait for %v", now, want)
		}
		if got := b.next(now); got != now+want {
			t.Errorf("next is %v, want %v", got, now+want)
		}
		now += want
		want = min(2*want, 10*time.Minute)
	}
}

func TestChanceSpreadsTheWaitOverItsLaterHalf(t *testing.T) {
	for chance, want := range map[float64]time.Duration{0: 5 * time.Second, 0.5: 7500 * time.Millisecond, 1: 10 * time.Second} {
		var b backoff
		b.failed("k", "wish", errFull, 0, chance)
		if got := b.next(0); got != want {
			t.Errorf("chance %v: it waits %v, want %v", chance, got, want)
		}
	}
}

func TestAnotherWishAndASuccessEndAWait(t *testing.T) {
	var b backoff
	for range 5 {
		b.failed("k", "wish", errFull, 0, 1)
	}
	if b.waits("k", "another", 1) != nil || b.waits("k", "wish", 1) != nil {
		t.Error("another wish has to wait, or the first one still has to")
	}
	b.failed("k", "wish", errFull, 0, 1)
	if got := b.next(0); got != firstPause {
		t.Errorf("after another wish the first wait is %v", got)
	}
	b.succeeded("k")
	if b.waits("k", "wish", 1) != nil || b.next(0) != 0 {
		t.Error("it waits after a success")
	}
}
